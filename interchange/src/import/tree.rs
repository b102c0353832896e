//! From joined spans to a trace: its root, the times that are missing, the order, what is odd.

use std::cmp::Reverse;

use tierscope_model::{
    Attributes, Evidence, Incomplete, Link, SmolStr, Span, Timestamp, Trace, attr,
};

use super::join::Joined;
use super::odd::Odd;
use super::own::{self, Own};
use super::raw::Raw;

/// Makes a trace of the spans of one; none where there are no spans.
pub(super) fn build(mut spans: Vec<Raw>) -> Option<Trace> {
    let trace_id = spans.first()?.trace;
    let request_id = spans.iter().find_map(own::request);
    let own = own::take(&mut spans);
    let mut joined = Joined::new(spans, own);
    let order = order(&mut joined);
    fill_times(&mut joined, &order);
    flag_clocks(&mut joined);
    let spans = spans_of(&mut joined, &order);
    Some(Trace {
        trace_id,
        request_id,
        endpoint: endpoint(spans.first()?),
        incomplete: incomplete(&joined, order.first().copied()),
        spans,
    })
}

/// Pre-order, siblings by start: the root's tree first, then those of orphans.
fn order(joined: &mut Joined) -> Vec<usize> {
    let count = joined.spans.len();
    let by_start = |spans: &[Raw], at: usize| (spans[at].start, at);
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut tops: Vec<usize> = Vec::new();
    for (at, parent) in joined.parents.iter().enumerate() {
        match parent {
            Some(parent) => children[*parent].push(at),
            None => tops.push(at),
        }
    }
    tops.sort_by_key(|at| rank(joined, *at));
    for top in tops.iter().skip(1).copied() {
        if joined.spans[top].parent.is_none() && !joined.own[top].orphan {
            joined.spans[top].flag(Odd::SecondRoot);
        }
    }
    let mut order = Vec::with_capacity(count);
    let mut open: Vec<usize> = tops.into_iter().rev().collect();
    while let Some(at) = open.pop() {
        order.push(at);
        let below = &mut children[at];
        below.sort_by_key(|child| Reverse(by_start(&joined.spans, *child)));
        open.append(below);
    }
    order
}

/// The root comes first: not marked an orphan, without a stated parent, the earliest, the longest.
fn rank(joined: &Joined, at: usize) -> impl Ord + use<> {
    let span = &joined.spans[at];
    let lost = span.parent.is_some();
    let start = span.start.unwrap_or(u64::MAX);
    let duration = Reverse(span.duration);
    (joined.own[at].orphan, lost, start, duration, at)
}

/// Gives times to spans that came without; parents come before their children in `order`.
fn fill_times(joined: &mut Joined, order: &[usize]) {
    let first = joined.spans.iter().filter_map(|span| span.start).min();
    for at in order.iter().copied() {
        let above = joined.parents[at].and_then(|parent| joined.spans[parent].start);
        let span = &mut joined.spans[at];
        if span.start.is_none() {
            span.flag(Odd::NoStart);
            span.start = above.or(first).or(Some(0));
        }
        if span.duration.is_none() {
            span.duration = Some(0);
            if !span.odd.has(Odd::EndsBeforeStart) {
                span.flag(Odd::NoDuration);
            }
        }
    }
}

/// Says where a span reaches beyond its parent by more than the formats round away.
fn flag_clocks(joined: &mut Joined) {
    for at in 0..joined.spans.len() {
        let Some(parent) = joined.parents[at].map(|parent| &joined.spans[parent]) else {
            continue;
        };
        if joined.own[at].evidence.is_some() {
            continue;
        }
        let (above, service) = (times(parent), parent.resource.service.clone());
        let span = &mut joined.spans[at];
        let own = times(span);
        let slack = span.format.precision() - 1;
        let (early, late) = (above.0.since(own.0), own.1.since(above.1));
        if early > slack {
            span.attributes.set(attr::STARTS_BEFORE_PARENT_NS, early);
            if span.resource.service != service {
                span.flag(Odd::Skew);
            }
        }
        if late > slack {
            span.attributes.set(attr::OUTLIVES_PARENT_NS, late);
        }
    }
}

fn times(span: &Raw) -> (Timestamp, Timestamp) {
    let start = Timestamp(span.start.unwrap_or(0));
    (start, start + span.duration.unwrap_or(0))
}

/// The spans in order, each with the evidence for its place, the format on the first.
fn spans_of(joined: &mut Joined, order: &[usize]) -> Vec<Span> {
    let links: Vec<Option<Link>> = order.iter().map(|at| link(joined, *at)).collect();
    let mut spans = Vec::with_capacity(order.len());
    for (at, parent) in order.iter().zip(links) {
        let raw = &mut joined.spans[*at];
        let (start, end) = times(raw);
        let mut attributes = std::mem::take(&mut raw.attributes);
        mark(raw, &mut attributes, spans.is_empty());
        spans.push(Span {
            span_id: raw.id.id,
            parent,
            name: std::mem::take(&mut raw.name).into(),
            kind: raw.kind,
            start,
            end,
            status: std::mem::take(&mut raw.status),
            resource: raw.resource.clone(),
            attributes,
            events: std::mem::take(&mut raw.events),
            slices: Vec::new(),
        });
    }
    spans
}

fn mark(raw: &Raw, attributes: &mut Attributes, root: bool) {
    if root {
        attributes.set(attr::IMPORT_FORMAT, raw.format.name());
    }
    if let Some(odd) = raw.odd.text() {
        attributes.set(attr::IMPORT_ODD, odd);
    }
    if let Some(text) = &raw.id.text {
        attributes.set(attr::IMPORT_ID, text.clone());
    }
}

fn link(joined: &mut Joined, at: usize) -> Option<Link> {
    let span_id = joined.spans[joined.parents[at]?].id.id;
    let span = &joined.spans[at];
    let Own { evidence, .. } = &mut joined.own[at];
    let stated = match &span.parent {
        _ if span.odd.has(Odd::SharedId) => Evidence::Stated("shared id".into()),
        Some(parent) if parent.follows => Evidence::Follows(parent.id.stated().into()),
        Some(parent) => Evidence::Stated(parent.id.stated().into()),
        None => Evidence::Stated(SmolStr::default()),
    };
    Some(Link {
        span_id,
        evidence: evidence.take().unwrap_or(stated),
    })
}

/// Method and route where the root has both, else its name.
fn endpoint(root: &Span) -> String {
    let method = root.attributes.text(attr::HTTP_REQUEST_METHOD);
    let route = root.attributes.text(attr::HTTP_ROUTE);
    match method.zip(route) {
        Some((method, route)) => format!("{method} {route}"),
        None => root.name.to_string(),
    }
}

fn incomplete(joined: &Joined, root: Option<usize>) -> Vec<Incomplete> {
    let mut reasons = root.map_or(Vec::new(), |root| joined.own[root].incomplete.clone());
    for odd in joined.spans.iter().flat_map(|span| span.odd.iter()) {
        match odd {
            Odd::NoParent | Odd::SecondRoot | Odd::Circle => reasons.push(Incomplete::Orphan),
            Odd::NoStart | Odd::NoDuration => reasons.push(Incomplete::NoTime),
            _ => {}
        }
    }
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}
