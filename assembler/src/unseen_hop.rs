//! A hop of which no byte was seen: a Unix socket, or a connection over a host that is not traced.
//!
//! What the handler did is known, and that it was done for the request whose id it was given: it
//! stands under the innermost server that gave this id, and says what was not measured.

use rustc_hash::FxHashMap;
use smol_str::ToSmolStr;
use tierscope_model::{Evidence, Incomplete, Link, RequestId, Span, SpanId, Timestamp, attr};

use crate::app::RequestKey;
use crate::hop::Hop;
use crate::tree::{Parts, caller_of};

/// Joins a handler that no exchange led to. Where an exchange did, where events were lost, or where
/// more than one server may have passed the request on, it stays as it is.
pub(crate) fn link(
    parts: &Parts,
    hops: &[Hop],
    key: RequestKey,
    items: &FxHashMap<(RequestKey, Option<usize>), SpanId>,
    spans: &mut [Span],
) {
    let served = parts.exchanges.iter().any(|x| x.server.pid == Some(key.0));
    if served || parts.incomplete.contains(&Incomplete::EventLoss) {
        return;
    }
    let mut tops = spans.iter().filter(|span| span.parent.is_none());
    let handler = items.get(&(key, None)).copied();
    let Some(begun) = tops
        .find(|span| Some(span.span_id) == handler)
        .map(|span| span.start)
    else {
        return;
    };
    let giver = giver(parts, key.1, begun).and_then(|at| hops[at].server);
    let service = |id: Option<SpanId>| {
        let span = spans.iter().find(|span| Some(span.span_id) == id)?;
        Some(span.resource.service.clone())
    };
    let (Some(parent), Some(from), Some(to)) = (giver, service(giver), service(handler)) else {
        return;
    };
    let Some(span) = spans.iter_mut().find(|s| Some(s.span_id) == handler) else {
        return;
    };
    span.parent = Some(Link {
        span_id: parent,
        evidence: Evidence::Probe(key.1.to_smolstr()),
    });
    let what = format!("{from} → {to}: no TCP connection was seen");
    span.attributes.set(attr::NOT_MEASURED, what);
}

/// The innermost exchange whose server gave the request its id, asked before `begun`; none where two
/// fit.
fn giver(parts: &Parts, id: RequestId, begun: Timestamp) -> Option<usize> {
    let all = &parts.exchanges;
    let gave = |at: usize| {
        let told = all[at].http().and_then(|facts| facts.answered_id);
        let before = all[at]
            .server_times()
            .is_some_and(|(start, _)| start <= begun);
        told == Some(id) && before && all[at].request.is_some()
    };
    let passed_on = |at: usize| (0..all.len()).any(|inner| caller_of(all, inner) == Some(at));
    let mut fitting = (0..all.len()).filter(|at| gave(*at) && !passed_on(*at));
    let only = fitting.next()?;
    fitting.next().is_none().then_some(only)
}
