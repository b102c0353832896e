//! Pass 6: puts a tree's spans in order and notes what only the whole tree tells.

use std::cmp::Reverse;
use std::ops::Range;

use tierscope_model::{Span, SpanId, SpanKind, Timestamp, attr};

/// Spans in pre-order with their hop counts, those that outlive their parent flagged.
pub(crate) fn arrange(spans: Vec<Span>) -> Vec<Span> {
    let placed = pre_order(&spans);
    let mut spans = in_order(spans, &placed);
    count_hops(&mut spans, &placed);
    flag_outliving(&mut spans, &placed);
    spans
}

/// A span's place in the tree.
struct Placed {
    /// Where it stood.
    from: usize,
    /// Where its parent stands now; none for what is joined to nothing.
    parent: Option<usize>,
}

/// Root first, each span before its children, siblings by start; orphans with their children last.
fn pre_order(spans: &[Span]) -> Vec<Placed> {
    let mut families = Families::of(spans);
    let mut tops: Vec<usize> = families.take(None).collect();
    // A client's or server's span is the root; anything internal without a parent is an orphan.
    tops.sort_by_key(|at| {
        let span = &spans[*at];
        span.kind == SpanKind::Internal || span.attributes.get(attr::DB_SYSTEM_NAME).is_some()
    });
    let mut placed = Vec::with_capacity(spans.len());
    let top = |from| Placed { from, parent: None };
    let mut stack: Vec<Placed> = tops.into_iter().rev().map(top).collect();
    // What is left then has a parent that is not there, or parents in a circle: joined to nothing, but kept.
    while let Some(next) = stack.pop().or_else(|| families.lost().map(top)) {
        let parent = Some(placed.len());
        let children = families.take(Some(spans[next.from].span_id));
        stack.extend(children.rev().map(|from| Placed { from, parent }));
        placed.push(next);
    }
    placed
}

/// A span by its parent, then by its start; of two that start together the longer one stands first, then
/// the one that stood first.
type Sibling = (Option<SpanId>, Timestamp, Reverse<Timestamp>, usize);

/// The spans by their parents.
struct Families {
    siblings: Vec<Sibling>,
    /// Where those of each parent lie that were not taken yet, in order of the parent's id.
    left: Vec<(Option<SpanId>, Range<usize>)>,
    /// All families before this one were taken whole.
    first: usize,
}

impl Families {
    fn of(spans: &[Span]) -> Families {
        let sibling = |(at, s): (usize, &Span)| (s.parent_id(), s.start, Reverse(s.end), at);
        let mut siblings: Vec<Sibling> = spans.iter().enumerate().map(sibling).collect();
        siblings.sort_unstable();
        let mut left: Vec<(Option<SpanId>, Range<usize>)> = Vec::new();
        for family in siblings.chunk_by(|a, b| a.0 == b.0) {
            let from = left.last().map_or(0, |(_, before)| before.end);
            left.push((family[0].0, from..from + family.len()));
        }
        Families {
            siblings,
            left,
            first: 0,
        }
    }

    /// The children of `parent`, as far as they were not taken yet.
    fn take(&mut self, parent: Option<SpanId>) -> impl DoubleEndedIterator<Item = usize> {
        let family = self.left.binary_search_by_key(&parent, |family| family.0);
        let range = family.map_or(0..0, |at| {
            let left = &mut self.left[at].1;
            std::mem::replace(left, left.end..left.end)
        });
        self.siblings[range].iter().map(|sibling| sibling.3)
    }

    /// One of those that were not taken.
    fn lost(&mut self) -> Option<usize> {
        while self.left.get(self.first)?.1.is_empty() {
            self.first += 1;
        }
        self.left[self.first]
            .1
            .next_back()
            .map(|at| self.siblings[at].3)
    }
}

/// The spans at their places; those that are joined to nothing have no parent.
fn in_order(mut spans: Vec<Span>, placed: &[Placed]) -> Vec<Span> {
    let mut to = vec![0; placed.len()];
    for (at, place) in placed.iter().enumerate() {
        to[place.from] = at;
        if place.parent.is_none() {
            spans[place.from].parent = None;
        }
    }
    for at in 0..to.len() {
        // Each swap puts one span at its place.
        while to[at] != at {
            let place = to[at];
            spans.swap(at, place);
            to.swap(at, place);
        }
    }
    spans
}

/// Tiers between the client and each span, on spans that begin a tier.
fn count_hops(spans: &mut [Span], placed: &[Placed]) {
    let mut depths: Vec<u32> = Vec::with_capacity(spans.len());
    for (span, place) in spans.iter_mut().zip(placed) {
        let here = match (place.parent.map(|at| depths[at]), span.kind) {
            (Some(above), SpanKind::Server) => above + 1,
            (above, _) => above.unwrap_or(0),
        };
        depths.push(here);
        if span.kind != SpanKind::Internal {
            span.attributes.set(attr::HOP_COUNT, here);
        }
    }
}

/// A child that ends after its parent keeps its times and says so.
fn flag_outliving(spans: &mut [Span], placed: &[Placed]) {
    for (at, place) in placed.iter().enumerate() {
        let end = place.parent.map(|parent| spans[parent].end);
        let span = &mut spans[at];
        if let Some(end) = end.filter(|end| span.end > *end) {
            let over = span.end.since(end);
            span.attributes.set(attr::OUTLIVES_PARENT_NS, over);
        }
    }
}
