//! Who had the connection that was waited for, and what went on meanwhile.

use std::collections::BTreeMap;

use tierscope_model::{Nanos, Timestamp, Trace, attr};

use super::Case;
use crate::finding::Kind;
use crate::holders::Held;
use crate::names::CauseId;
use crate::words::{ms, statement};

/// Of a wait, what is worth to be told.
const SHARE: Nanos = 4;

/// What the wait for the pool was a wait for: who had the connections that it ended with, at most.
pub(super) fn held(case: &Case<'_>, cause: CauseId) -> Held {
    let mut held = Held::default();
    for piece in case.pieces(cause) {
        let wait = (piece.segment.start, piece.segment.end);
        if let Some(backend) = next_backend(case.trace, wait.1) {
            case.others.holders.during(backend, wait, &mut held);
        }
    }
    held
}

/// The kind of what took half of the wait or more.
pub(super) fn behind(held: &Held, wait: Nanos) -> Option<Kind> {
    let mut kinds: BTreeMap<Kind, Nanos> = BTreeMap::new();
    for (cause, nanos) in &held.causes {
        let kind = cause.kind.finding();
        *kinds.entry(kind).or_default() += nanos;
    }
    let most = kinds.into_iter().max_by_key(|(_, nanos)| *nanos);
    most.filter(|(_, nanos)| 2 * nanos >= wait)
        .map(|(kind, _)| kind)
}

/// `: POST /api/orders (request 7482…) had it for 268.1 ms (disk wait, postgres: 262.0 ms)`; what is no part of the
/// wait to speak of is not told.
pub(super) fn words(held: &Held, wait: Nanos) -> String {
    let counts = |nanos: &Nanos| *nanos >= wait / SHARE;
    let longest = held.requests.iter().max_by_key(|(_, nanos)| **nanos);
    let Some((request, nanos)) = longest.filter(|(_, nanos)| counts(nanos)) else {
        return String::new();
    };
    let most = held.causes.iter().max_by_key(|(_, nanos)| **nanos);
    let most = most
        .filter(|(_, nanos)| counts(nanos))
        .map(|(cause, nanos)| {
            let (what, of) = (cause.kind.name(), statement(&cause.of));
            format!(" ({what}, {of}: {})", ms(*nanos))
        });
    let most = most.unwrap_or_default();
    format!(": {} had it for {}{most}", request.text(), ms(*nanos))
}

/// The process of the first backend that worked for the request from then on.
fn next_backend(trace: &Trace, from: Timestamp) -> Option<u32> {
    let of_backends = trace.spans.iter().filter(|span| {
        span.kind == tierscope_model::SpanKind::Server
            && span.attributes.get(attr::DB_SYSTEM_NAME).is_some()
            && span.start >= from
    });
    let next = of_backends.min_by_key(|span| span.start)?;
    Some(next.resource.pid)
}
