//! PostgreSQL's own statistics of its statements against the exchanges with it.
//!
//! Compared are SELECT and DML of the app's role: in the extended protocol the extension leaves out
//! utility statements, and statements that failed in either.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tierscope_model::{Doing, Nanos, Slice, Span, SpanKind, Status, Timestamp, Trace, attr};
use tierscope_stack::Lab;
use tierscope_wire::sql::fingerprint;

use super::outside::Said;
use crate::check::{Check, Promise};

const CALLS: Promise = Promise {
    name: "statement_calls",
    bound: "equal for every statement",
    includes: "theirs: pg_stat_statements.calls, SELECT and DML of the app's role that ended without \
               error; ours: executions in exchanges of the same text that ended without error",
};
const TIMES: Promise = Promise {
    name: "statement_times",
    bound: "mean within 5 % or 20 µs for every statement",
    includes: "theirs: the executor's run and finish; ours: the `modify rows` phase for DML, else the \
               `execute` phase, that is their time and sending the rows; a wait for a CPU within 20 µs of its \
               start or end, between the two readings of the clock, may be ours alone",
};
/// Allowed difference of the means, the larger of the two.
const SHARE: f64 = 0.05;
const NANOS: f64 = 20_000.0;
/// How far a reading of PostgreSQL's clock may be from the probe beside it, in time that nothing interrupts.
const EDGE: Nanos = 20_000;

/// One row of `pg_stat_statements`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatementCalls {
    /// Its text, as PostgreSQL normalised it.
    pub query: String,
    /// Executions that ended without error.
    pub calls: u64,
    /// Time in the executor, all calls together, ms.
    pub total_exec_time: f64,
}

/// Starts the statistics from zero.
pub(super) fn reset(lab: &Lab) -> Said<()> {
    lab.ask("SELECT pg_stat_statements_reset();")
        .map(drop)
        .map_err(|e| e.to_string())
}

/// The statistics of the app's role. What a trigger runs inside a statement is part of that statement.
pub(super) fn ask(lab: &Lab) -> Said<Vec<StatementCalls>> {
    let rows = lab.ask(
        "SELECT coalesce(json_agg(row_to_json(s)), '[]') FROM (SELECT query, calls, total_exec_time \
         FROM pg_stat_statements WHERE toplevel AND userid = 'lab'::regrole) AS s;",
    );
    serde_json::from_str(&rows.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

/// Calls and time of one fingerprint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    calls: u64,
    ns: f64,
    /// Of `ns`, what may lie outside PostgreSQL's readings.
    edges: f64,
}

impl Tally {
    fn mean(&self) -> f64 {
        self.ns / self.calls.max(1) as f64
    }

    fn least_mean(&self) -> f64 {
        (self.ns - self.edges) / self.calls.max(1) as f64
    }
}

/// Both sides, by fingerprint.
#[derive(Debug)]
pub(super) struct Statements<'a> {
    said: &'a Said<Vec<StatementCalls>>,
    ours: BTreeMap<String, Tally>,
    phases: u64,
}

impl<'a> Statements<'a> {
    pub(super) fn new(said: &'a Said<Vec<StatementCalls>>) -> Statements<'a> {
        Statements {
            said,
            ours: BTreeMap::new(),
            phases: 0,
        }
    }

    pub(super) fn trace(&mut self, trace: &Trace) {
        for span in trace.spans.iter().filter(|span| is_execution(span)) {
            self.exchange(trace, span);
        }
    }

    fn exchange(&mut self, trace: &Trace, server: &Span) {
        let Some(text) = server.attributes.text(attr::DB_QUERY_TEXT) else {
            return;
        };
        let fingerprint = fingerprint(text);
        if !is_counted(&fingerprint) {
            return;
        }
        let executes = server.attributes.int("tierscope.db.executes").unwrap_or(1);
        let tally = self.ours.entry(fingerprint).or_default();
        tally.calls += executes.unsigned_abs();
        for phase in executed(trace, server) {
            self.phases += 1;
            tally.ns += phase.duration() as f64;
            tally.edges += at_edges(phase.start, phase.end, &server.slices) as f64;
        }
    }

    pub(super) fn finish(self, lost: bool) -> Vec<Check> {
        let said = match self.said {
            _ if lost => Err("events were lost".to_owned()),
            Ok(said) if !said.is_empty() => Ok(said),
            Ok(_) => Err("pg_stat_statements holds no statement of the app".to_owned()),
            Err(reason) => Err(reason.clone()),
        };
        match said {
            Err(reason) => vec![CALLS.not_checked(reason.clone()), TIMES.not_checked(reason)],
            Ok(said) => {
                let theirs = theirs(said);
                let times = match self.phases {
                    0 => TIMES.not_checked("PostgreSQL's probes are not in the recording"),
                    _ => compare_times(&theirs, &self.ours),
                };
                vec![compare_calls(&theirs, &self.ours), times]
            }
        }
    }
}

/// Whether a span is a backend's side of an exchange that ran a statement without error.
fn is_execution(span: &Span) -> bool {
    let kind = span.attributes.text(attr::DB_EXCHANGE);
    span.kind == SpanKind::Server
        && matches!(kind, Some("query" | "simple query"))
        && !matches!(span.status, Status::Error(_))
}

/// SELECT and DML.
fn is_counted(fingerprint: &str) -> bool {
    let word = fingerprint.split([' ', '(']).next().unwrap_or_default();
    [
        "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE",
    ]
    .iter()
    .any(|counted| word.eq_ignore_ascii_case(counted))
}

/// The backend's `execute` phases, of DML without the executor's own start and end.
fn executed<'t>(trace: &'t Trace, server: &Span) -> impl Iterator<Item = &'t Span> {
    trace
        .children(server.span_id)
        .filter(|span| span.name == "execute")
        .map(|span| innermost(trace, span))
}

/// DML without rows to return is an `execute` in an `execute`, and the changes in that.
fn innermost<'t>(trace: &'t Trace, phase: &'t Span) -> &'t Span {
    let mut inside = trace.children(phase.span_id);
    match inside.find(|span| ["execute", "modify rows"].contains(&span.name.as_str())) {
        Some(inner) => innermost(trace, inner),
        None => phase,
    }
}

/// For how long the backend waited for a CPU so close to a phase's start or end that PostgreSQL's own clock
/// may have been read after or before it.
fn at_edges(start: Timestamp, end: Timestamp, slices: &[Slice]) -> Nanos {
    slices
        .iter()
        .filter(|slice| slice.doing == Doing::Runnable)
        .map(|slice| (slice.start.max(start), slice.end.min(end)))
        .filter(|(from, to)| from < to && from.since(start).min(end.since(*to)) <= EDGE)
        .map(|(from, to)| to.since(from))
        .sum()
}

fn theirs(said: &[StatementCalls]) -> BTreeMap<String, Tally> {
    let mut theirs = BTreeMap::<String, Tally>::new();
    for row in said {
        let fingerprint = fingerprint(&row.query);
        if is_counted(&fingerprint) {
            let tally = theirs.entry(fingerprint).or_default();
            tally.calls += row.calls;
            tally.ns += row.total_exec_time * 1e6;
        }
    }
    theirs
}

fn compare_calls(theirs: &BTreeMap<String, Tally>, ours: &BTreeMap<String, Tally>) -> Check {
    let calls = |side: &BTreeMap<String, Tally>, key| side.get(key).map_or(0, |t: &Tally| t.calls);
    let mut keys: Vec<_> = theirs.keys().chain(ours.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let differing: Vec<_> = keys
        .iter()
        .filter(|key| calls(theirs, **key) != calls(ours, **key))
        .collect();
    let total: u64 = theirs.values().map(|t| t.calls).sum();
    let mut value = format!("{total} calls of {} statements", keys.len());
    if let Some(key) = differing.first() {
        value += &format!(
            ", {} differ: {} theirs, {} ours of {}",
            differing.len(),
            calls(theirs, key),
            calls(ours, key),
            short(key)
        );
    }
    CALLS.judged(
        differing.is_empty(),
        value,
        &[
            ("calls", total as f64),
            ("statements", keys.len() as f64),
            ("differing", differing.len() as f64),
        ],
    )
}

fn compare_times(theirs: &BTreeMap<String, Tally>, ours: &BTreeMap<String, Tally>) -> Check {
    let both: Vec<_> = theirs
        .iter()
        .filter_map(|(key, theirs)| Some((key, theirs.mean(), ours.get(key)?)))
        .collect();
    let off = |theirs: f64, ours: &Tally| {
        let off = (theirs - ours.mean())
            .max(ours.least_mean() - theirs)
            .max(0.0);
        off / NANOS.max(SHARE * theirs)
    };
    let differing = both.iter().filter(|(_, t, o)| off(*t, o) > 1.0).count();
    let worst = both
        .iter()
        .max_by(|a, b| off(a.1, a.2).total_cmp(&off(b.1, b.2)));
    let Some((key, t, o)) = worst else {
        return TIMES.not_checked("no statement is on both sides");
    };
    let value = format!(
        "{differing} of {} beyond; furthest {:.1} µs theirs, {:.1} µs ours ({:.1} of them waits at its edges): {}",
        both.len(),
        t / 1e3,
        o.mean() / 1e3,
        (o.mean() - o.least_mean()) / 1e3,
        short(key)
    );
    TIMES.judged(
        differing == 0,
        value,
        &[
            ("statements", both.len() as f64),
            ("differing", differing as f64),
            ("furthest_us", (o.mean() - t).abs() / 1e3),
        ],
    )
}

fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies(rows: &[(&str, u64, f64)]) -> BTreeMap<String, Tally> {
        let tally = |(text, calls, ns): &(&str, u64, f64)| {
            let (calls, ns) = (*calls, *ns * *calls as f64);
            let edges = 0.0;
            (fingerprint(text), Tally { calls, ns, edges })
        };
        rows.iter().map(tally).collect()
    }

    #[test]
    fn one_call_more_or_less_is_a_miss() {
        let theirs = tallies(&[("SELECT 1", 3, 5e3), ("SELECT a FROM t", 2, 5e3)]);
        assert!(compare_calls(&theirs, &theirs).is_ok());
        let ours = tallies(&[("SELECT $1", 3, 5e3), ("SELECT a FROM t", 1, 5e3)]);
        let check = compare_calls(&theirs, &ours);
        assert!(!check.is_ok());
        assert_eq!(check.figure("differing"), Some(1.0));
        assert!(!compare_calls(&tallies(&[]), &ours).is_ok(), "ours alone");
    }

    #[test]
    fn means_may_differ_by_the_larger_of_a_share_and_20_us() {
        let mean = |ns| tallies(&[("SELECT 1", 10, ns)]);
        let ok = |theirs, ours| compare_times(&mean(theirs), &mean(ours)).is_ok();
        assert!(ok(30e3, 49e3) && !ok(30e3, 51e3));
        assert!(ok(1e6, 1.04e6) && !ok(1e6, 1.06e6));
    }

    #[test]
    fn waits_at_the_edges_may_be_ours_alone() {
        let theirs = tallies(&[("SELECT 1", 10, 200e3)]);
        let mut ours = tallies(&[("SELECT 1", 10, 600e3)]);
        assert!(!compare_times(&theirs, &ours).is_ok());
        let with = |ours: &mut BTreeMap<_, Tally>, edges| {
            ours.values_mut().for_each(|tally| tally.edges = edges);
            compare_times(&theirs, ours).is_ok()
        };
        assert!(with(&mut ours, 4e6), "one of 4 ms");
        assert!(
            with(&mut ours, 5e6),
            "some of it is in PostgreSQL's time, too"
        );
        assert!(!with(&mut ours, 3e6), "what is left is not known");
        let mut ours = tallies(&[("SELECT 1", 10, 150e3)]);
        assert!(!with(&mut ours, 1e6), "more than was seen is a miss");
    }

    #[test]
    fn waits_for_a_cpu_count_at_the_edges_only() {
        let slice = |start, end, doing| Slice {
            start: Timestamp(start),
            end: Timestamp(end),
            doing,
            tid: 7,
            reason: None,
            instead: None,
            instead_ns: None,
            shared: false,
        };
        let slices = [
            slice(0, 1_500, Doing::Runnable),
            slice(1_500, 15_000, Doing::Running),
            slice(15_000, 18_000, Doing::Runnable),
            slice(18_000, 90_000, Doing::Running),
            slice(90_000, 95_000, Doing::Runnable),
            slice(95_000, 180_000, Doing::Running),
            slice(180_000, 190_000, Doing::Runnable),
            slice(190_000, 195_000, Doing::Waiting),
        ];
        let at_edges = |end| at_edges(Timestamp(1_000), Timestamp(end), &slices);
        assert_eq!(at_edges(200_000), 500 + 3_000 + 10_000);
        assert_eq!(
            at_edges(17_000),
            500 + 2_000,
            "of one that lasts beyond, what is within"
        );
        assert_eq!(at_edges(300_000), 500 + 3_000);
    }

    #[test]
    fn only_select_and_dml_count() {
        for counted in [
            "SELECT ?",
            "select(?)",
            "WITH a AS (SELECT ?) SELECT ?",
            "UPDATE t SET a = ?",
        ] {
            assert!(is_counted(counted), "{counted}");
        }
        for left_out in ["BEGIN", "COMMIT", "SET a = ?", "SELECTED"] {
            assert!(!is_counted(left_out), "{left_out}");
        }
    }
}
