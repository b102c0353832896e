//! Pass 6: puts a tree's spans in order and notes what only the whole tree tells.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tierscope_model::{Span, SpanId, SpanKind, Timestamp, attr};

/// Spans in pre-order with their hop counts, those that outlive their parent flagged.
pub(crate) fn arrange(spans: Vec<Span>) -> Vec<Span> {
    let mut spans = pre_order(spans);
    count_hops(&mut spans);
    flag_outliving(&mut spans);
    spans
}

/// Root first, each span before its children, siblings by start; orphans with their children last.
fn pre_order(spans: Vec<Span>) -> Vec<Span> {
    let mut children: BTreeMap<Option<SpanId>, Vec<Span>> = BTreeMap::new();
    for span in spans {
        children.entry(span.parent_id()).or_default().push(span);
    }
    for list in children.values_mut() {
        // Of two that start together the longer one stands first, then the id decides.
        list.sort_by_key(|s| (s.start, std::cmp::Reverse(s.end), s.span_id));
    }
    let mut tops = children.remove(&None).unwrap_or_default();
    // A client's or server's span is the root; anything internal without a parent is an orphan.
    tops.sort_by_key(|s| {
        s.kind == SpanKind::Internal || s.attributes.get(attr::DB_SYSTEM_NAME).is_some()
    });
    let mut out = Vec::new();
    let mut stack: Vec<Span> = tops.into_iter().rev().collect();
    loop {
        let Some(span) = stack.pop() else {
            // A parent that is not there, or parents in a circle: joined to nothing, but kept.
            let Some(mut lost) = lost(&mut children) else {
                break;
            };
            lost.parent = None;
            stack.push(lost);
            continue;
        };
        if let Some(list) = children.remove(&Some(span.span_id)) {
            stack.extend(list.into_iter().rev());
        }
        out.push(span);
    }
    out
}

/// The first span of those left whose parents were never reached.
fn lost(children: &mut BTreeMap<Option<SpanId>, Vec<Span>>) -> Option<Span> {
    let mut entry = children.first_entry()?;
    let span = entry.get_mut().pop();
    if entry.get().is_empty() {
        entry.remove();
    }
    span
}

/// Tiers between the client and each span, on spans that begin a tier.
fn count_hops(spans: &mut [Span]) {
    let mut depth: FxHashMap<SpanId, u32> = FxHashMap::default();
    for span in spans {
        let above = span.parent_id().and_then(|id| depth.get(&id).copied());
        let here = match (above, span.kind) {
            (Some(above), SpanKind::Server) => above + 1,
            (above, _) => above.unwrap_or(0),
        };
        depth.insert(span.span_id, here);
        if span.kind != SpanKind::Internal {
            span.attributes.set(attr::HOP_COUNT, here);
        }
    }
}

/// A child that ends after its parent keeps its times and says so.
fn flag_outliving(spans: &mut [Span]) {
    let ends: FxHashMap<SpanId, Timestamp> = spans.iter().map(|s| (s.span_id, s.end)).collect();
    for span in spans {
        let parent = span.parent_id().and_then(|id| ends.get(&id).copied());
        if let Some(end) = parent.filter(|end| span.end > *end) {
            span.attributes
                .set(attr::OUTLIVES_PARENT_NS, span.end.since(end));
        }
    }
}
