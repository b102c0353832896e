//! Pass 7: what must hold of every trace, checked on the finished tree.

use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;
use tierscope_model::{Span, SpanId, Timestamp, Trace, attr};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A span ends before it starts.
    Negative(SpanId),
    /// A child lies outside its parent and does not say so.
    Outside(SpanId),
    /// A parent that is not in the trace.
    UnknownParent(SpanId),
    /// The segments do not sum to the root's duration: (sum, duration) in ns.
    Sum(u64, u64),
}

/// A stretch of the root's time and the span that it is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index in `trace.spans`.
    pub span: usize,
    /// Start.
    pub start: Timestamp,
    /// End, after `start`.
    pub end: Timestamp,
}

/// Checks one trace.
pub fn check(trace: &Trace) -> Vec<Violation> {
    let places = places(trace);
    let mut violations = Vec::new();
    for span in &trace.spans {
        if span.end < span.start {
            violations.push(Violation::Negative(span.span_id));
        }
        let Some(parent) = span.parent_id() else {
            continue;
        };
        match places.get(&parent) {
            None => violations.push(Violation::UnknownParent(span.span_id)),
            Some(parent) if !inside(span, &trace.spans[*parent]) => {
                violations.push(Violation::Outside(span.span_id))
            }
            Some(_) => {}
        }
    }
    let segments = cut(trace, &places);
    let sum = segments.iter().map(|s| s.end.since(s.start)).sum();
    if sum != trace.duration() {
        violations.push(Violation::Sum(sum, trace.duration()));
    }
    violations
}

fn inside(span: &Span, parent: &Span) -> bool {
    let flagged = span.attributes.get(attr::OUTLIVES_PARENT_NS).is_some();
    span.start >= parent.start && (span.end <= parent.end || flagged)
}

/// Cuts the root's time so that each nanosecond is charged to one span: the deepest that was active,
/// of equally deep ones the one that began last. The segments tile the root, in order of time.
pub fn segments(trace: &Trace) -> Vec<Segment> {
    cut(trace, &places(trace))
}

/// Where each span stands in the trace.
type Places = FxHashMap<SpanId, usize>;

fn places(trace: &Trace) -> Places {
    let spans = trace.spans.iter().enumerate();
    spans.map(|(at, span)| (span.span_id, at)).collect()
}

fn cut(trace: &Trace, places: &Places) -> Vec<Segment> {
    let Some(root) = trace.root() else {
        return Vec::new();
    };
    let mut active: BinaryHeap<Rank> = BinaryHeap::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut at = root.start;
    for rank in in_order(trace, places) {
        at = charge_until(rank.1, at, &mut active, trace, &mut segments);
        active.push(rank);
    }
    charge_until(root.end, at, &mut active, trace, &mut segments);
    segments
}

/// Depth, start and index of a span: the greatest active one is charged.
type Rank = (u32, Timestamp, usize);

/// The spans that hang on the root and take time, in order of start.
fn in_order(trace: &Trace, places: &Places) -> Vec<Rank> {
    let spans = trace.spans.iter().enumerate().zip(depths(trace, places));
    let ranks = spans.filter(|((_, span), _)| span.end > span.start);
    let ranks = ranks.filter_map(|((index, span), depth)| Some((depth?, span.start, index)));
    let mut ranks: Vec<Rank> = ranks.collect();
    ranks.sort_unstable_by_key(|(_, start, _)| *start);
    ranks
}

/// Charges the time from `at` to `until`, or to the root's end, to the spans that are active in it; from
/// when on nothing is charged yet.
fn charge_until(
    until: Timestamp,
    mut at: Timestamp,
    active: &mut BinaryHeap<Rank>,
    trace: &Trace,
    segments: &mut Vec<Segment>,
) -> Timestamp {
    let until = trace.root().map_or(until, |root| until.min(root.end));
    while let Some((_, _, span)) = active.peek().filter(|_| at < until) {
        let end = trace.spans[*span].end.min(until);
        if at < end {
            charge(segments, *span, at, end);
            at = end;
        } else {
            active.pop();
        }
    }
    at.max(until)
}

fn charge(segments: &mut Vec<Segment>, span: usize, start: Timestamp, end: Timestamp) {
    match segments.last_mut() {
        Some(last) if last.span == span && last.end == start => last.end = end,
        _ => segments.push(Segment { span, start, end }),
    }
}

/// Depth below the root; none for what is not joined to it.
fn depths(trace: &Trace, places: &Places) -> Vec<Option<u32>> {
    let mut depths: Vec<Option<u32>> = Vec::with_capacity(trace.spans.len());
    for (at, span) in trace.spans.iter().enumerate() {
        let above = |parent: SpanId| *depths.get(*places.get(&parent)?)?;
        depths.push(match span.parent_id() {
            None => (at == 0).then_some(0),
            Some(parent) => above(parent).map(|depth| depth + 1),
        });
    }
    depths
}
