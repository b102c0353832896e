//! Pieces of work inside one process, nested by time; of many equal ones, one span.

use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tierscope_model::{Attributes, Evidence, Link, Nanos, Span, Timestamp, attr};

use crate::span_id::derive;
use crate::tree::internal;

/// More equal pieces than this under one parent are drawn as one.
const FOLD: usize = 8;

/// A stretch of work inside a process.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) attributes: Attributes,
    /// What it is done to. Phases of one name and one object are equal; none: equal to no other.
    pub(crate) of: Option<Arc<str>>,
    pub(crate) bytes: Option<u64>,
    /// Where in the file; of equal ones the first's.
    pub(crate) offset: Option<u64>,
    /// How many operations it stands for, and the time that one was under way.
    pub(crate) count: u64,
    pub(crate) busy: Nanos,
    /// It goes on beside its thread and holds no other.
    pub(crate) leaf: bool,
}

impl Phase {
    pub(crate) fn new(name: &'static str, start: Timestamp, end: Timestamp) -> Phase {
        Phase {
            name,
            start,
            end,
            attributes: Attributes::new(),
            of: None,
            bytes: None,
            offset: None,
            count: 1,
            busy: end.since(start),
            leaf: false,
        }
    }

    fn encloses(&self, other: &Phase) -> bool {
        !self.leaf && self.start <= other.start && other.end <= self.end
    }

    /// Takes an equal phase in that began no earlier. Times that overlap count once.
    pub(crate) fn absorb(&mut self, other: &Phase) {
        self.busy += match other.count {
            1 => other.end.since(other.start.max(self.end)),
            _ => other.busy,
        };
        self.end = self.end.max(other.end);
        self.count += other.count;
        self.bytes = match (self.bytes, other.bytes) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Spans of `phases` under `top`, each under the innermost other that encloses it.
pub(crate) fn spans(
    top: &Span,
    mut phases: Vec<Phase>,
    evidence: impl Fn(&Phase) -> Evidence,
) -> Vec<Span> {
    phases.sort_by_key(|phase| (phase.start, Reverse(phase.end)));
    let parents = parents(&phases);
    let stand = fold(&mut phases, &parents);
    let mut spans: Vec<Span> = Vec::new();
    let mut places: Vec<Option<usize>> = vec![None; phases.len()];
    let drawn = phases.iter_mut().enumerate();
    for (at, phase) in drawn.filter(|(at, _)| stand[*at] == *at) {
        let parent = parents[at].and_then(|parent| places[stand[parent]]);
        let link = Link {
            span_id: parent.map_or(top.span_id, |place| spans[place].span_id),
            evidence: evidence(phase),
        };
        places[at] = Some(spans.len());
        spans.push(span(top, phase, at, link));
    }
    spans
}

/// The innermost phase that encloses each; `phases` are in order of start, the longest first.
fn parents(phases: &[Phase]) -> Vec<Option<usize>> {
    let mut open: Vec<usize> = Vec::new();
    let mut parents = Vec::with_capacity(phases.len());
    for (at, phase) in phases.iter().enumerate() {
        open.retain(|other| phases[*other].end >= phase.start);
        let encloses = |other: &&usize| phases[**other].encloses(phase);
        parents.push(open.iter().rev().find(encloses).copied());
        open.push(at);
    }
    parents
}

/// Makes one phase of many equal ones under one parent. Returns which phase stands for each.
fn fold(phases: &mut [Phase], parents: &[Option<usize>]) -> Vec<usize> {
    let mut stand: Vec<usize> = (0..phases.len()).collect();
    if phases.len() <= FOLD {
        return stand;
    }
    for level in levels(parents) {
        let mut groups: FxHashMap<_, Vec<usize>> = FxHashMap::default();
        for at in level {
            let parent = parents[at].map(|parent| stand[parent]);
            if let Some(of) = phases[at].of.clone() {
                let key = (parent, phases[at].name, of);
                groups.entry(key).or_default().push(at);
            }
        }
        for group in groups.into_values().filter(|group| group.len() > FOLD) {
            let (first, others) = (group[0], &group[1..]);
            for at in others {
                let (before, from) = phases.split_at_mut(*at);
                before[first].absorb(&from[0]);
                stand[*at] = first;
            }
        }
    }
    stand
}

/// Phases by their depth, the outermost first.
fn levels(parents: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut depths: Vec<usize> = Vec::with_capacity(parents.len());
    let mut levels: Vec<Vec<usize>> = Vec::new();
    for (at, parent) in parents.iter().enumerate() {
        let depth = parent.map_or(0, |parent| depths[parent] + 1);
        depths.push(depth);
        if levels.len() <= depth {
            levels.resize_with(depth + 1, Vec::new);
        }
        levels[depth].push(at);
    }
    levels
}

/// The phase's span, which takes its attributes.
fn span(top: &Span, phase: &mut Phase, at: usize, link: Link) -> Span {
    let parts = [top.span_id.0, phase.start.0, at as u64];
    let mut span = internal(
        derive(phase.name, &parts),
        Some(link),
        phase.name,
        (phase.start, phase.end),
        top.resource.clone(),
    );
    span.attributes = std::mem::take(&mut phase.attributes);
    if let Some(bytes) = phase.bytes {
        span.attributes.set(attr::BYTES, bytes);
    }
    if let Some(offset) = phase.offset {
        span.attributes.set(attr::FILE_OFFSET, offset);
    }
    if phase.count > 1 {
        span.attributes.set(attr::COUNT, phase.count);
        span.attributes.set(attr::BUSY_NS, phase.busy);
    }
    span
}

#[cfg(test)]
mod tests {
    use tierscope_model::{Resource, SpanId};

    use super::*;

    fn top() -> Span {
        internal(
            SpanId(1),
            None,
            "top",
            (Timestamp(0), Timestamp(1_000_000)),
            Arc::new(Resource::default()),
        )
    }

    fn phase(name: &'static str, start: u64, end: u64, of: &str) -> Phase {
        Phase {
            of: (!of.is_empty()).then(|| of.into()),
            bytes: Some(10),
            ..Phase::new(name, Timestamp(start), Timestamp(end))
        }
    }

    fn drawn(phases: Vec<Phase>) -> Vec<Span> {
        spans(&top(), phases, |_| Evidence::Backend("1".into()))
    }

    #[test]
    fn ten_thousand_reads_are_one_span_and_so_are_the_reads_inside_them() {
        let mut phases = vec![phase("execute", 0, 1_000_000, "")];
        for at in 0..10_000u64 {
            phases.push(phase("page read", at * 100, at * 100 + 50, "5/1"));
            phases.push(phase("file read", at * 100 + 10, at * 100 + 40, "base/5/1"));
        }
        let spans = drawn(phases);
        let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["execute", "page read", "file read"]);
        let reads = &spans[1];
        assert_eq!(reads.parent_id(), Some(spans[0].span_id));
        assert_eq!(spans[2].parent_id(), Some(reads.span_id));
        assert_eq!(reads.attributes.int(attr::COUNT), Some(10_000));
        assert_eq!(reads.attributes.int(attr::BUSY_NS), Some(500_000));
        assert_eq!(reads.attributes.int(attr::BYTES), Some(100_000));
        assert_eq!((reads.start.0, reads.end.0), (0, 999_950));
    }

    #[test]
    fn time_of_overlapping_operations_counts_once() {
        let phases = (0..20).map(|at| phase("disk read", at * 10, at * 10 + 15, "8:0"));
        let spans = drawn(phases.collect());
        assert_eq!(spans[0].attributes.int(attr::BUSY_NS), Some(205));
    }

    #[test]
    fn a_few_stay_apart_and_what_goes_on_beside_holds_nothing() {
        let mut disk = phase("disk read", 0, 100, "8:0");
        disk.leaf = true;
        let spans = drawn(vec![
            disk,
            phase("file read", 10, 20, "a"),
            phase("file read", 30, 40, "a"),
        ]);
        assert!(spans.iter().all(|span| span.parent_id() == Some(SpanId(1))));
        assert_eq!(spans.len(), 3);
    }
}
