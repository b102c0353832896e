//! Who should have read, or run, and what happened instead.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tierscope_model::{Doing, Nanos, Slice};

use super::{Case, told};
use crate::names::CauseId;
use crate::words::{count, ms};

/// What the reader did while bytes lay in its receive queue, and for whom its process worked.
pub(super) fn meanwhile(case: &Case<'_>, cause: CauseId) -> String {
    let Some(span) = case.worst(cause) else {
        return String::new();
    };
    let within = (span.start, span.end);
    let on_cpu = told::by(&span.slices, within, Doing::Running, |s| {
        s.instead.as_deref()
    });
    let asleep = told::by(&span.slices, within, Doing::Waiting, |s| {
        s.reason.as_deref()
    });
    let ran: Nanos = on_cpu.iter().map(|(_, nanos)| nanos).sum();
    let slept: Nanos = asleep.iter().map(|(_, nanos)| nanos).sum();
    let reader = match span.slices.first() {
        None => "what its reader did is not known".to_owned(),
        Some(first) if ran >= slept => {
            format!(
                "its reader, thread {}, was on a CPU for {}",
                first.tid,
                ms(ran)
            )
        }
        Some(first) => {
            let why = asleep.first().map_or("", |(why, _)| why);
            format!(
                "its reader, thread {}, was asleep for {} ({why})",
                first.tid,
                ms(slept)
            )
        }
    };
    let (threads, requests) = case.others.busy.during(span.resource.pid, within);
    let service = &span.resource.service;
    match requests.as_slice() {
        [] => reader,
        [(request, nanos), ..] => format!(
            "{reader}; {} of {service} worked, with {request} for {}",
            count(threads as u64, "thread"),
            ms(*nanos)
        ),
    }
}

/// What ran while threads were runnable: over all pieces of the path that have this cause.
pub(super) fn instead(case: &Case<'_>, cause: CauseId) -> String {
    let mut sums: BTreeMap<&str, Nanos> = BTreeMap::new();
    for piece in case.pieces(cause) {
        let (from, to) = (piece.segment.start, piece.segment.end);
        for slice in slices(case, piece.segment.span) {
            let within = slice.end.min(to).since(slice.start.max(from));
            let nanos = slice.instead_for().min(within);
            let what = slice.instead.as_deref();
            if let Some(what) = what.filter(|_| slice.doing == Doing::Runnable && nanos > 0) {
                *sums.entry(what).or_default() += nanos;
            }
        }
    }
    let most = sums
        .iter()
        .max_by_key(|(what, nanos)| (**nanos, Reverse(**what)));
    match most {
        Some((&Slice::IDLE, nanos)) => {
            format!("its CPU was idle and took it up late ({})", ms(*nanos))
        }
        Some((what, nanos)) => format!("{what} had the CPU before ({})", ms(*nanos)),
        None => "what ran instead is not known".to_owned(),
    }
}

/// The slices that tell of a span's time: its own, or those of the nearest above it in its process.
fn slices<'a>(case: &Case<'a>, mut at: usize) -> &'a [Slice] {
    loop {
        let span = &case.trace.spans[at];
        if !span.slices.is_empty() {
            return &span.slices;
        }
        let parent = span.parent_id();
        let above = case.trace.spans[..at]
            .iter()
            .rposition(|s| Some(s.span_id) == parent);
        match above {
            Some(above) => at = above,
            None => return &[],
        }
    }
}
