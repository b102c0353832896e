//! Pass 6: which thread's time is charged to which span.
//!
//! A backend works for one exchange at a time: its time is charged in [`crate::statement`]. A thread of
//! the application works for a request between what made it the request's and its next event of
//! another; nginx's worker serves all at once, and its delays are everybody's.

use tierscope_model::{Doing, Nanos, RequestId, Slice, Span, SpanId, Timestamp, attr};

use crate::app::RequestKey;
use crate::app_request::AppRequest;
use crate::exchange::{Exchange, Passage};
use crate::passage;
use crate::threads::{Interval, Threads};
use crate::timeline::sums;

/// Of a handler that took less it is not asked whether its process stood still.
const HELD_UP: Nanos = 5_000_000;

/// The threads that worked for a request, and when.
pub(crate) type Worked = Vec<(u32, Vec<Interval>)>;

/// Who worked for the request within the span of its handler.
pub(crate) fn worked(
    key: RequestKey,
    request: &AppRequest,
    handler: &Span,
    threads: &Threads,
) -> Worked {
    let within = (handler.start, handler.end);
    let tids = request.tids.iter();
    tids.map(|tid| (*tid, threads.worked(*tid, key, within)))
        .collect()
}

/// Puts `slices` on the span, in order, as far as they lie in it and do not overlap, with their sums.
pub(crate) fn put(span: &mut Span, mut slices: Vec<Slice>) {
    slices.sort_by_key(|slice| (slice.start, slice.end));
    if slices.windows(2).any(|two| two[1].start < two[0].end) {
        slices = apart(slices);
    }
    for slice in &mut slices {
        slice.start = slice.start.max(span.start);
        slice.end = slice.end.min(span.end);
    }
    slices.retain(|slice| slice.end > slice.start);
    if slices.iter().any(|slice| slice.doing != Doing::Unknown) {
        let [running, runnable, waiting] = sums(&slices);
        span.attributes.add([
            (attr::ON_CPU_NS, running.into()),
            (attr::RUNNABLE_NS, runnable.into()),
            (attr::OFF_CPU_NS, waiting.into()),
        ]);
    }
    span.slices = slices;
}

/// Of threads at work at the same time the one that was taken up last counts, for as long as it works.
fn apart(slices: Vec<Slice>) -> Vec<Slice> {
    let mut told = Vec::with_capacity(slices.len());
    let mut at_work: Vec<Slice> = Vec::new();
    for slice in slices {
        work_until(slice.start, &mut at_work, &mut told);
        at_work.push(slice);
    }
    work_until(Timestamp(u64::MAX), &mut at_work, &mut told);
    told
}

/// Tells of what the last one `at_work` did until `time`, or until its end and then of the one before it.
fn work_until(time: Timestamp, at_work: &mut Vec<Slice>, told: &mut Vec<Slice>) {
    while let Some(last) = at_work.last() {
        let start = told.last().map_or(last.start, |t| t.end.max(last.start));
        let (end, goes_on) = (last.end.min(time), last.end > time);
        if start < end {
            told.push(Slice {
                start,
                end,
                ..last.clone()
            });
        }
        if goes_on {
            return;
        }
        at_work.pop();
    }
}

/// Each receive queue of `exchange` among `spans`: what the thread that read did meanwhile.
pub(crate) fn receive_queues(
    exchange: &Exchange,
    spans: &mut [Span],
    own: Option<RequestId>,
    threads: &Threads,
) {
    let queues = [passage::QUEUE, passage::ACCEPT, passage::FULL];
    let waits = |span: &&mut Span| queues.contains(&span.name.as_str());
    for span in spans.iter_mut().filter(waits) {
        let passage = match span.attributes.text(attr::DIRECTION) {
            Some("request") => &exchange.request,
            _ => &exchange.response,
        };
        let Some(reader) = passage.as_ref().and_then(|p| p.last_reader) else {
            continue;
        };
        let slices = threads.meanwhile(reader, (span.start, span.end), own);
        put(span, slices);
    }
}

/// The handler's time on the threads that worked for its request. When none did, the times in which the whole
/// process stood still for want of a CPU: whatever the handler waited for within it did, too.
pub(crate) fn handler(pid: u32, worked: &Worked, span: &mut Span, threads: &Threads) {
    let within = (span.start, span.end);
    let mut slices = Vec::new();
    for (tid, stretches) in worked {
        for (start, end) in stretches {
            slices.extend(threads.slices(*tid, *start, *end));
        }
    }
    if span.duration() >= HELD_UP {
        slices.sort_by_key(|slice| slice.start);
        let still = threads.standstills(pid, within).into_iter();
        let apart: Vec<Slice> = still.flat_map(|still| without(still, &slices)).collect();
        slices.extend(apart);
    }
    put(span, slices);
}

/// What is left of a slice beside those of `known`, which are in order of their starts.
fn without(slice: Slice, known: &[Slice]) -> Vec<Slice> {
    let mut left = Vec::new();
    let mut at = slice.start;
    let meets = |k: &&Slice| k.end > slice.start && k.start < slice.end;
    let known = known.iter().filter(meets).map(|k| (k.start, k.end));
    for (start, end) in known.chain([(slice.end, slice.end)]) {
        if start > at {
            left.push(Slice {
                start: at,
                end: start,
                ..slice.clone()
            });
        }
        at = at.max(end);
    }
    left
}

/// A server's own time: its worker's, between what it asked of others, `asked`. It serves many at once.
pub(crate) fn worker(exchange: &Exchange, asked: &[&Exchange], span: &mut Span, threads: &Threads) {
    let Some(tid) = worker_of(exchange) else {
        return;
    };
    let own = own_intervals((span.start, span.end), asked);
    let slices = own
        .into_iter()
        .flat_map(|(from, to)| threads.slices(tid, from, to));
    let shared = |slice| Slice {
        shared: true,
        ..slice
    };
    put(span, slices.map(shared).collect());
}

/// The one thread that read the request and wrote the answer.
pub(crate) fn worker_of(exchange: &Exchange) -> Option<u32> {
    let reader = exchange.request.as_ref().and_then(|p| p.reader);
    let writer = exchange.response.as_ref().and_then(|p| p.writer);
    match (reader, writer) {
        (Some(reader), Some(writer)) => (reader == writer).then_some(reader.tid),
        (one, other) => one.or(other).map(|caller| caller.tid),
    }
}

/// What is left of `whole` without the times in which an answer of another was waited for.
fn own_intervals(whole: Interval, asked: &[&Exchange]) -> Vec<Interval> {
    let mut times: Vec<Interval> = asked.iter().filter_map(|x| waited(x)).collect();
    times.sort_unstable();
    let mut own = Vec::new();
    let mut at = whole.0;
    for (from, to) in times {
        own.push((at, from.min(whole.1)));
        at = at.max(to);
    }
    own.push((at, whole.1));
    own.retain(|(from, to)| to > from);
    own
}

/// From the first byte of the request written to the first of the answer read.
fn waited(exchange: &Exchange) -> Option<Interval> {
    let from = exchange.request.as_ref()?.first_write?;
    let read = |passage: &Passage| passage.head_read.or(passage.last_read);
    let to = exchange.response.as_ref().and_then(read);
    Some((from, to.unwrap_or(exchange.closed)))
}

/// The span with this id.
pub(crate) fn find(spans: &mut [Span], id: Option<SpanId>) -> Option<&mut Span> {
    spans.iter_mut().find(|span| Some(span.span_id) == id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use tierscope_model::Resource;

    use super::*;
    use crate::tree::internal;

    fn slice(start: u64, end: u64, tid: u32) -> Slice {
        Slice {
            start: Timestamp(start),
            end: Timestamp(end),
            doing: Doing::Running,
            tid,
            reason: None,
            instead: None,
            instead_ns: None,
            shared: false,
        }
    }

    #[test]
    fn a_standstill_is_told_beside_what_the_request_did() {
        let known = [(0, 12), (20, 30), (25, 28), (45, 60)].map(|(a, b)| slice(a, b, 1));
        let left = without(slice(10, 50, 1), &known);
        let left: Vec<_> = left.iter().map(|s| (s.start.0, s.end.0)).collect();
        assert_eq!(left, [(12, 20), (30, 45)]);
        assert!(without(slice(46, 60, 1), &known).is_empty());
        assert_eq!(without(slice(70, 80, 1), &known), [slice(70, 80, 1)]);
    }

    #[test]
    fn who_was_taken_up_last_counts_for_as_long_as_it_works() {
        let slices = [slice(0, 50, 1), slice(10, 20, 2), slice(15, 30, 3)];
        let told = apart(slices.to_vec());
        let told: Vec<_> = told.iter().map(|s| (s.start.0, s.end.0, s.tid)).collect();
        let wanted = [(0, 10, 1), (10, 15, 2), (15, 30, 3), (30, 50, 1)];
        assert_eq!(told, wanted);
    }

    proptest! {
        #[test]
        fn slices_tile_the_time_in_which_any_thread_was_at_work(
            times in prop::collection::vec((0..200u64, 0..50u64, 1..4u32), 0..30),
        ) {
            let resource = Arc::new(Resource::default());
            let bounds = (Timestamp(20), Timestamp(150));
            let mut span = internal(SpanId(1), None, "handler", bounds, resource);
            let slices = times.into_iter().map(|(a, length, tid)| slice(a, a + length, tid));
            let slices: Vec<_> = slices.collect();
            let covers = |at: &u64| slices.iter().any(|s| s.start.0 <= *at && *at < s.end.0);
            let covered = (20..150).filter(covers).count() as u64;
            put(&mut span, slices);
            let mut at = span.start;
            for slice in &span.slices {
                prop_assert!(at <= slice.start && slice.start < slice.end && slice.end <= span.end);
                at = slice.end;
            }
            let total: u64 = span.slices.iter().map(Slice::duration).sum();
            prop_assert_eq!(total, covered);
            prop_assert_eq!(span.attributes.int(attr::ON_CPU_NS).unwrap_or(0), total as i64);
        }
    }
}
