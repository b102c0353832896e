//! Slow queries: PostgreSQL worked long on a statement. Where the time of the call went stands beside it.

use tierscope_model::Nanos;

use super::{Case, told};
use crate::cause::CauseKind;
use crate::finding::{Finding, Kind};
use crate::names::{CauseId, PlaceId};
use crate::profile::Piece;
use crate::words::{count, grouped, ms, statement};

/// A finding per statement, with the place of its call; `repeated`: places whose calls are a finding
/// already.
pub(super) fn findings(case: &Case<'_>, repeated: &[PlaceId]) -> Vec<(PlaceId, Finding)> {
    let causes = case.profile.causes.iter();
    let found = causes.filter_map(|(cause, value)| finding(case, *cause, *value));
    found
        .filter(|(place, _)| !repeated.contains(place))
        .collect()
}

fn finding(case: &Case<'_>, id: CauseId, value: Nanos) -> Option<(PlaceId, Finding)> {
    if case.names.kind_of(id) != CauseKind::Execution {
        return None;
    }
    let normal = case.normal_of(id);
    let (cost, floor) = (case.cost(id), case.floor(CauseKind::Execution));
    if cost < floor || value <= normal.limit {
        return None;
    }
    let longest = case
        .pieces(id)
        .max_by_key(|piece| piece.segment.duration())?;
    let at = longest.call?;
    let call = &case.profile.calls[at];
    let usual = match case.normal.calls.get(&call.place) {
        Some(usual) if normal.top > 0 => told::normal(usual, "calls"),
        _ => format!("not seen in {} other requests", grouped(normal.n)),
    };
    let text = case.names.detail(call.place);
    let (short, took, inside) = (statement(text), ms(call.duration), inside(case, at));
    let found = Finding {
        kind: Kind::SlowQuery,
        behind: None,
        of: text.to_string(),
        span: Some(case.trace.spans[call.span].span_id),
        cost_ns: cost,
        value,
        normal,
        floor_ns: floor,
        p: normal.p(case.endpoint.causes.get(&id), value),
        sentence: format!("DB query `{short}` took {took}; {usual}. {inside}."),
        threshold: format!("execution {}", told::threshold(&normal, floor)),
    };
    Some((call.place, found))
}

/// `198.0 ms execution (most of it in `execute`, asleep), no lock, 0 disk reads`.
fn inside(case: &Case<'_>, at: usize) -> String {
    let mut kinds: Vec<(CauseKind, Nanos)> = Vec::new();
    let pieces = || {
        case.profile
            .pieces
            .iter()
            .filter(|piece| piece.call == Some(at))
    };
    for piece in pieces() {
        let kind = case.names.kind_of(piece.cause);
        let nanos = piece.segment.duration();
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some(known) => known.1 += nanos,
            None => kinds.push((kind, nanos)),
        }
    }
    kinds.sort_by_key(|(kind, nanos)| (std::cmp::Reverse(*nanos), *kind));
    let total: Nanos = kinds.iter().map(|(_, nanos)| nanos).sum();
    let worth = kinds.iter().filter(|(_, nanos)| *nanos * 20 >= total);
    let mut words: Vec<String> = worth
        .map(|(kind, nanos)| part(case, pieces(), *kind, *nanos))
        .collect();
    if kinds.iter().all(|(kind, _)| *kind != CauseKind::Lock) {
        words.push("no lock".to_owned());
    }
    words.push(count(disk_reads(case, at), "disk read"));
    words.join(", ")
}

/// `198.0 ms execution (most of it in execute, asleep)`.
fn part<'a>(
    case: &Case<'a>,
    pieces: impl Iterator<Item = &'a Piece>,
    kind: CauseKind,
    nanos: Nanos,
) -> String {
    let of_kind = pieces.filter(|piece| case.names.kind_of(piece.cause) == kind);
    let longest = of_kind.max_by_key(|piece| piece.segment.duration());
    let place = longest
        .filter(|_| kind == CauseKind::Execution)
        .map(|piece| {
            let name = &case.span(piece).name;
            format!(" (most of it in `{name}`, {})", piece.segment.state.name())
        });
    format!("{} {}{}", ms(nanos), kind.name(), place.unwrap_or_default())
}

/// Disk requests under a call.
fn disk_reads(case: &Case<'_>, at: usize) -> u64 {
    let spans = &case.trace.spans;
    let first = case.profile.calls[at].span;
    let last = case
        .profile
        .calls
        .get(at + 1)
        .map_or(spans.len(), |next| next.span);
    let reads = spans[first..last.max(first)]
        .iter()
        .filter(|span| span.name == "disk read");
    reads
        .map(|span| {
            span.attributes
                .int(tierscope_model::attr::COUNT)
                .unwrap_or(1)
                .unsigned_abs()
        })
        .sum()
}
