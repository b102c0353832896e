//! Pass 7: what must hold of every trace, checked on the finished tree.

use std::collections::HashMap;

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
    let by_id: HashMap<SpanId, &Span> = trace.spans.iter().map(|s| (s.span_id, s)).collect();
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
    let depths = depths(trace);
    let mut cuts: Vec<Timestamp> = trace.spans.iter().flat_map(|s| [s.start, s.end]).collect();
    cuts.retain(|cut| *cut >= root.start && *cut <= root.end);
    cuts.sort_unstable();
    cuts.dedup();
    let mut segments: Vec<Segment> = Vec::new();
    for pair in cuts.windows(2) {
        let Some(span) = owner(trace, &depths, pair[0]) else {
            continue;
        };
        match segments.last_mut() {
            Some(last) if last.span == span && last.end == pair[0] => last.end = pair[1],
            _ => segments.push(Segment {
                span,
                start: pair[0],
                end: pair[1],
            }),
        }
    }
    segments
}

/// Depth below the root; none for what is not joined to it.
fn depths(trace: &Trace) -> Vec<Option<u32>> {
    let mut known: HashMap<SpanId, u32> = HashMap::new();
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

fn owner(trace: &Trace, depths: &[Option<u32>], at: Timestamp) -> Option<usize> {
    let active = |i: &usize| trace.spans[*i].start <= at && at < trace.spans[*i].end;
    let rank = |i: usize| depths[i].map(|depth| (depth, trace.spans[i].start, i));
    (0..trace.spans.len())
        .filter(active)
        .filter_map(rank)
        .max()
        .map(|(_, _, i)| i)
}
