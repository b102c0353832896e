//! Pass 6: puts a tree's spans in order and notes what only the whole tree tells.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;
use tierscope_model::{Span, SpanKind, attr};

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
    let families = Families::of(spans);
    let mut tops = families.of_none().to_vec();
    // A client's or server's span is the root; anything internal without a parent is an orphan.
    tops.sort_by_key(|at| {
        let span = &spans[*at];
        span.kind == SpanKind::Internal || span.attributes.get(attr::DB_SYSTEM_NAME).is_some()
    });
    tops.extend_from_slice(families.of_unknown());
    let top = |from| Placed { from, parent: None };
    let mut placed = Vec::with_capacity(spans.len());
    let mut is_placed = vec![false; spans.len()];
    let mut stack: Vec<Placed> = tops.into_iter().rev().map(top).collect();
    let mut lost = 0..spans.len();
    // What is left then has parents in a circle: joined to nothing, but kept.
    while let Some(next) = stack
        .pop()
        .or_else(|| lost.find(|at| !is_placed[*at]).map(top))
    {
        is_placed[next.from] = true;
        let parent = Some(placed.len());
        let children = families.of_span(next.from).iter().rev();
        let children = children.filter(|from| !is_placed[**from]);
        stack.extend(children.map(|from| Placed {
            from: *from,
            parent,
        }));
        placed.push(next);
    }
    placed
}

/// The spans by their parents: of each one siblings by start, of two that start together the longer first, then
/// the one that stood first.
struct Families {
    /// Those of the first span, then of the second, …, those without a parent, those whose parent is not there.
    siblings: Vec<usize>,
    /// Where each family begins, and where the last one ends.
    begins: Vec<usize>,
}

impl Families {
    fn of(spans: &[Span]) -> Families {
        let places = spans.iter().enumerate();
        let places: FxHashMap<_, _> = places.map(|(at, span)| (span.span_id, at)).collect();
        let family = |span: &Span| match span.parent_id() {
            Some(id) => places.get(&id).copied().unwrap_or(spans.len() + 1),
            None => spans.len(),
        };
        let families: Vec<usize> = spans.iter().map(family).collect();
        let (siblings, begins) = grouped(&families, spans.len() + 2);
        let mut families = Families { siblings, begins };
        families.sort(spans);
        families
    }

    /// Nearly all are in order already.
    fn sort(&mut self, spans: &[Span]) {
        let key = |at: &usize| (spans[*at].start, Reverse(spans[*at].end));
        for family in self.begins.windows(2) {
            let family = &mut self.siblings[family[0]..family[1]];
            if !family.is_sorted_by_key(key) {
                family.sort_by_key(key);
            }
        }
    }

    fn family(&self, number: usize) -> &[usize] {
        &self.siblings[self.begins[number]..self.begins[number + 1]]
    }

    fn of_span(&self, at: usize) -> &[usize] {
        self.family(at)
    }

    fn of_none(&self) -> &[usize] {
        self.family(self.begins.len() - 3)
    }

    fn of_unknown(&self) -> &[usize] {
        self.family(self.begins.len() - 2)
    }
}

/// The places in `groups`, those of group 0 first, each group's in order; and where each of `count` groups begins,
/// with the end of the last.
fn grouped(groups: &[usize], count: usize) -> (Vec<usize>, Vec<usize>) {
    let mut ends = vec![0; count + 1];
    for group in groups {
        ends[group + 1] += 1;
    }
    for group in 1..=count {
        ends[group] += ends[group - 1];
    }
    let (begins, mut next) = (ends.clone(), ends);
    let mut places = vec![0; groups.len()];
    for (at, group) in groups.iter().enumerate() {
        places[next[*group]] = at;
        next[*group] += 1;
    }
    (places, begins)
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
