//! Pass 7: what must hold of every trace, checked on the finished tree.

use std::collections::BTreeSet;

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
    let by_id: FxHashMap<SpanId, &Span> = trace.spans.iter().map(|s| (s.span_id, s)).collect();
    let mut violations = Vec::new();
    for span in &trace.spans {
        if span.end < span.start {
            violations.push(Violation::Negative(span.span_id));
        }
        let Some(parent) = span.parent_id() else {
            continue;
        };
        match by_id.get(&parent) {
            None => violations.push(Violation::UnknownParent(span.span_id)),
            Some(parent) if !inside(span, parent) => {
                violations.push(Violation::Outside(span.span_id))
            }
            Some(_) => {}
        }
    }
    let sum = segments(trace).iter().map(|s| s.end.since(s.start)).sum();
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
    let Some(root) = trace.root() else {
        return Vec::new();
    };
    let mut changes = changes(trace);
    changes.sort_unstable();
    let mut active: BTreeSet<Rank> = BTreeSet::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut at = root.start;
    for (time, starts, rank) in changes {
        let until = time.clamp(root.start, root.end);
        if let Some((_, _, span)) = active.last().filter(|_| until > at) {
            charge(&mut segments, *span, at, until);
        }
        at = at.max(until);
        if starts {
            active.insert(rank);
        } else {
            active.remove(&rank);
        }
    }
    segments
}

/// Depth, start and index of a span: the greatest active one is charged.
type Rank = (u32, Timestamp, usize);

/// When each span that hangs on the root starts (true) and ends (false).
fn changes(trace: &Trace) -> Vec<(Timestamp, bool, Rank)> {
    let depths = depths(trace);
    let spans = trace.spans.iter().enumerate().zip(depths);
    spans
        .filter_map(|((index, span), depth)| Some((span, (depth?, span.start, index))))
        .filter(|(span, _)| span.end > span.start)
        .flat_map(|(span, rank)| [(span.start, true, rank), (span.end, false, rank)])
        .collect()
}

fn charge(segments: &mut Vec<Segment>, span: usize, start: Timestamp, end: Timestamp) {
    match segments.last_mut() {
        Some(last) if last.span == span && last.end == start => last.end = end,
        _ => segments.push(Segment { span, start, end }),
    }
}

/// Depth below the root; none for what is not joined to it.
fn depths(trace: &Trace) -> Vec<Option<u32>> {
    let mut known: FxHashMap<SpanId, u32> = FxHashMap::default();
    let mut depths = Vec::with_capacity(trace.spans.len());
    for (at, span) in trace.spans.iter().enumerate() {
        let depth = match span.parent_id() {
            None => (at == 0).then_some(0),
            Some(parent) => known.get(&parent).map(|depth| depth + 1),
        };
        if let Some(depth) = depth {
            known.insert(span.span_id, depth);
        }
        depths.push(depth);
    }
    depths
}
