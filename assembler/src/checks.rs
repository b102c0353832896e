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
    let parents = parents(trace);
    let mut violations = Vec::new();
    for (span, parent) in trace.spans.iter().zip(&parents) {
        if span.end < span.start {
            violations.push(Violation::Negative(span.span_id));
        }
        match parent {
            None if span.parent.is_some() => {
                violations.push(Violation::UnknownParent(span.span_id));
            }
            Some(parent) if !inside(span, &trace.spans[*parent]) => {
                violations.push(Violation::Outside(span.span_id));
            }
            _ => {}
        }
    }
    violations
}

fn inside(span: &Span, parent: &Span) -> bool {
    let flagged = || span.attributes.get(attr::OUTLIVES_PARENT_NS).is_some();
    span.start >= parent.start && (span.end <= parent.end || flagged())
}

/// Cuts the root's time so that each nanosecond is charged to one span: the deepest that was active,
/// of equally deep ones the one that began last. The segments tile the root, in order of time.
pub fn segments(trace: &Trace) -> Vec<Segment> {
    let Some(root) = trace.root() else {
        return Vec::new();
    };
    let mut active: BinaryHeap<Rank> = BinaryHeap::with_capacity(trace.spans.len());
    let mut segments: Vec<Segment> = Vec::with_capacity(2 * trace.spans.len());
    let mut at = root.start;
    for rank in in_order(trace) {
        at = charge_until(rank.1, at, &mut active, trace, &mut segments);
        active.push(rank);
    }
    charge_until(root.end, at, &mut active, trace, &mut segments);
    segments
}

/// Where the parent of each span stands; none for what has none in the trace.
fn parents(trace: &Trace) -> Vec<Option<usize>> {
    let spans = &trace.spans;
    let mut parents = Vec::with_capacity(spans.len());
    let mut path: Vec<usize> = Vec::new();
    let mut places = None;
    for (at, span) in spans.iter().enumerate() {
        let parent = span.parent_id().and_then(|id| {
            // Where each span stands before its children, the parent is on the way up from the span before.
            while let Some(last) = path.pop() {
                if spans[last].span_id == id {
                    return Some(last);
                }
            }
            let places = places.get_or_insert_with(|| places_of(spans));
            places.get(&id).copied()
        });
        path.extend(parent);
        path.push(at);
        parents.push(parent);
    }
    parents
}

fn places_of(spans: &[Span]) -> FxHashMap<SpanId, usize> {
    let spans = spans.iter().enumerate();
    spans.map(|(at, span)| (span.span_id, at)).collect()
}

/// Depth, start and index of a span: the greatest active one is charged.
type Rank = (u32, Timestamp, usize);

/// The spans that hang on the root and take time, in order of start.
fn in_order(trace: &Trace) -> Vec<Rank> {
    let spans = trace.spans.iter().enumerate().zip(depths(&parents(trace)));
    let spans = spans.filter(|((_, span), _)| span.end > span.start);
    let mut ranks: Vec<Rank> = Vec::with_capacity(trace.spans.len());
    ranks.extend(spans.filter_map(|((index, span), depth)| Some((depth?, span.start, index))));
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
fn depths(parents: &[Option<usize>]) -> Vec<Option<u32>> {
    let mut depths: Vec<Option<u32>> = Vec::with_capacity(parents.len());
    for (at, parent) in parents.iter().enumerate() {
        depths.push(match parent {
            None => (at == 0).then_some(0),
            Some(parent) => depths.get(*parent).and_then(|above| Some((*above)? + 1)),
        });
    }
    depths
}
