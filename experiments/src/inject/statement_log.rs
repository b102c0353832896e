//! What PostgreSQL logs of a long execution: its values, and the CPU time that it took.

use std::collections::HashMap;

use tierscope_model::{Nanos, RequestId};

/// An execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Executed {
    /// Whose: in the lab's truth mode one of the values.
    pub(super) request: RequestId,
    /// On a CPU, by the kernel's account of the backend (getrusage).
    pub(super) on_cpu_ns: Nanos,
}

/// Executions that the log tells of: first how long one took, with its values, then what it used.
pub(super) fn executed(log: &str) -> Vec<Executed> {
    // By backend: whose execution was told last.
    let mut told: HashMap<&str, RequestId> = HashMap::new();
    let (mut runs, mut backend, mut uses) = (Vec::new(), "", false);
    for line in log.lines() {
        if let Some((pid, text)) = entry(line) {
            backend = pid;
            if let Some(values) = text.strip_prefix("DETAIL:  parameters: ") {
                told.extend(request_id(values).map(|id| (pid, id)));
            }
            uses = text == "LOG:  EXECUTE MESSAGE STATISTICS"
                || uses && text.starts_with("DETAIL:  ! system usage stats");
        } else if let Some(on_cpu_ns) = on_cpu(line).filter(|_| uses) {
            uses = false;
            let run = told
                .remove(backend)
                .map(|request| Executed { request, on_cpu_ns });
            runs.extend(run);
        }
    }
    runs
}

/// `2026-11-21 22:45:44.331 UTC [8458] LOG:  …`: the process, and what follows. None of a line that goes on.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (time, rest) = line.split_once(" [")?;
    let (pid, text) = rest.split_once("] ")?;
    let is_start = time.starts_with("20") && pid.bytes().all(|b| b.is_ascii_digit());
    is_start.then_some((pid, text))
}

/// `$1 = 'lamp', $2 = '00f067aa0ba902b74bf92f3577b34da6', $3 = '0'`: the last one that is an id.
fn request_id(values: &str) -> Option<RequestId> {
    let mut values = values.rsplit(" = '").map(|value| value.split('\'').next());
    values.find_map(|value| value?.parse().ok())
}

/// `! 0.150112 s user, 0.000999 s system, 0.201 s elapsed`.
fn on_cpu(line: &str) -> Option<Nanos> {
    let (used, _) = line
        .trim_start_matches(['\t', '!'])
        .split_once(" s system, ")?;
    let (user, system) = used.split_once(" s user, ")?;
    let seconds = user.parse::<f64>().ok()? + system.parse::<f64>().ok()?;
    Some((seconds * 1e9).round() as Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_execution_is_told_with_its_request() {
        let (first, second) = ("a".repeat(32), "b".repeat(32));
        let at = "2026-11-21 22:45:44.331 UTC";
        let log = format!(
            "{at} [7] LOG:  BIND MESSAGE STATISTICS\n\
             {at} [7] DETAIL:  ! system usage stats:\n\
             \t!\t0.000112 s user, 0.000000 s system, 0.000113 s elapsed\n\
             {at} [7] LOG:  duration: 201.113 ms  execute sqlx_s_4: SELECT id FROM products\n\
             {at} [7] DETAIL:  parameters: $1 = 'a = ''b''', $2 = '{first}', $3 = '0'\n\
             {at} [8] LOG:  duration: 151.0 ms  execute sqlx_s_4: SELECT id FROM products\n\
             {at} [8] DETAIL:  parameters: $1 = 'lamp', $2 = '{second}'\n\
             {at} [7] LOG:  EXECUTE MESSAGE STATISTICS\n\
             {at} [7] DETAIL:  ! system usage stats:\n\
             \t!\t0.150112 s user, 0.000999 s system, 0.201 s elapsed\n\
             \t!\t[1.150112 s user, 0.100999 s system total]\n\
             {at} [7] STATEMENT:  SELECT id FROM products\n\
             {at} [8] LOG:  EXECUTE MESSAGE STATISTICS\n\
             {at} [8] DETAIL:  ! system usage stats:\n\
             \t!\t0.150000 s user, 0.001000 s system, 0.151 s elapsed\n\
             {at} [9] LOG:  EXECUTE MESSAGE STATISTICS\n\
             {at} [9] DETAIL:  ! system usage stats:\n\
             \t!\t0.000100 s user, 0.000000 s system, 0.000 s elapsed\n"
        );
        let run = |id: &str, on_cpu_ns| Executed {
            request: id.parse().expect("an id"),
            on_cpu_ns,
        };
        let wanted = [run(&first, 151_111_000), run(&second, 151_000_000)];
        assert_eq!(executed(&log), wanted);
    }
}
