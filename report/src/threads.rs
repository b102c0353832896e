//! What threads did meanwhile, in words.

use std::collections::BTreeMap;

use tierscope_model::{Doing, Nanos, Slice};

use crate::duration::human;
use crate::text::visible_clip;

/// Longest reason, in columns.
const LONGEST: usize = 48;

/// `on CPU 1.2 ms · runnable 0.3 ms (behind stress-ng) · waiting 200 ms (Lock: transactionid)`: what took at
/// least `least`, the longest first, each with what it was mostly for; nothing where there are no slices.
pub(crate) fn summary(slices: &[Slice], least: Nanos) -> Vec<String> {
    let kinds = [
        Doing::Running,
        Doing::Runnable,
        Doing::Waiting,
        Doing::Unknown,
    ];
    let mut lines: Vec<(Nanos, String)> = Vec::new();
    for doing in kinds {
        let of = || slices.iter().filter(move |slice| slice.doing == doing);
        let total: Nanos = of().map(Slice::duration).sum();
        if total > 0 && total >= least {
            let why = mostly(of()).map(|why| format!(" ({why})"));
            let why = why.unwrap_or_default();
            lines.push((total, format!("{} {}{why}", name(doing), human(total))));
        }
    }
    lines.sort_by_key(|(total, _)| std::cmp::Reverse(*total));
    let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    if !lines.is_empty() && slices.iter().any(|slice| slice.shared) {
        lines.push("a thread shared with other requests".to_owned());
    }
    lines
}

/// One slice: what, how long, why.
pub(crate) fn describe(slice: &Slice) -> String {
    let (doing, length) = (name(slice.doing), human(slice.duration()));
    format!("{doing} {length}{}", circumstances(slice))
}

/// ` (behind stress-ng 4711), thread 7`.
pub(crate) fn circumstances(slice: &Slice) -> String {
    let why = why(slice).map(|why| format!(" ({why})"));
    let shared = if slice.shared {
        ", shared with other requests"
    } else {
        ""
    };
    format!("{}, thread {}{shared}", why.unwrap_or_default(), slice.tid)
}

/// What a thread does, as a reader of a picture calls it.
pub(crate) fn name(doing: Doing) -> &'static str {
    match doing {
        Doing::Running => "on CPU",
        Doing::Runnable => "runnable",
        Doing::Waiting => "waiting",
        Doing::Unknown => "not known",
    }
}

fn why(slice: &Slice) -> Option<String> {
    let instead = slice.instead.as_deref().map(|instead| match slice.doing {
        Doing::Runnable if slice.instead_for() < slice.duration() / 2 => {
            format!("behind {instead} and others")
        }
        Doing::Runnable => format!("behind {instead}"),
        _ => format!("with {instead}"),
    });
    let why = instead.or_else(|| slice.reason.as_deref().map(str::to_owned))?;
    Some(visible_clip(&why, LONGEST))
}

/// The reason that took most of the time.
fn mostly<'a>(slices: impl Iterator<Item = &'a Slice>) -> Option<String> {
    let mut total: BTreeMap<Option<String>, Nanos> = BTreeMap::new();
    for slice in slices {
        *total.entry(why(slice)).or_default() += slice.duration();
    }
    total.into_iter().max_by_key(|(_, time)| *time)?.0
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use tierscope_model::{SmolStr, Timestamp};

    fn slice(doing: Doing, (start, end): (u64, u64), why: &str) -> Slice {
        let why = Some(why.into()).filter(|why: &SmolStr| !why.is_empty());
        let (reason, instead) = match doing {
            Doing::Waiting => (why, None),
            _ => (None, why),
        };
        Slice {
            start: Timestamp(start),
            end: Timestamp(end),
            doing,
            tid: 7,
            reason,
            instead,
            instead_ns: None,
            shared: false,
        }
    }

    #[test]
    fn what_had_the_cpu_for_a_small_part_is_not_all_there_was() {
        let mut wait = slice(Doing::Runnable, (0, 1_000), "ksoftirqd/1 22");
        assert_eq!(why(&wait).as_deref(), Some("behind ksoftirqd/1 22"));
        wait.instead_ns = NonZero::new(20);
        assert_eq!(
            why(&wait).as_deref(),
            Some("behind ksoftirqd/1 22 and others")
        );
    }

    #[test]
    fn each_kind_stands_once_with_its_main_reason() {
        let slices = [
            slice(Doing::Running, (0, 3_000), ""),
            slice(Doing::Waiting, (3_000, 5_000), "IO: DataFileRead"),
            slice(Doing::Waiting, (5_000, 10_000), "Lock: tuple"),
            slice(Doing::Runnable, (10_000, 11_000), "stress-ng 9"),
        ];
        assert_eq!(
            summary(&slices, 0),
            [
                "waiting 7.00 µs (Lock: tuple)",
                "on CPU 3.00 µs",
                "runnable 1.00 µs (behind stress-ng 9)"
            ]
        );
        assert_eq!(summary(&slices, 2_000).len(), 2);
        assert!(summary(&[], 0).is_empty());
    }

    #[test]
    fn a_shared_thread_is_called_so() {
        let mut shared = slice(Doing::Running, (0, 900), "GET / 9c1f…");
        shared.shared = true;
        let lines = summary(&[shared.clone()], 0);
        assert_eq!(
            lines,
            [
                "on CPU 900 ns (with GET / 9c1f…)",
                "a thread shared with other requests"
            ]
        );
        let line = "on CPU 900 ns (with GET / 9c1f…), thread 7, shared with other requests";
        assert_eq!(describe(&shared), line);
    }
}
