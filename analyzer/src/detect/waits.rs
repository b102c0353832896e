//! Waits of every kind: the time on the critical path that is put down to one cause.

use tierscope_model::{Nanos, Span};

use super::repeats::Repeats;
use super::{Case, pool, reader, told};
use crate::cause::{Cause, CauseKind};
use crate::finding::Finding;
use crate::names::CauseId;
use crate::words::{count, ms, statement};

/// The findings, each with the cause that it is of.
pub(super) fn findings(case: &Case<'_>, repeats: &Repeats) -> Vec<(CauseId, Finding)> {
    let causes = case.profile.causes.iter();
    causes
        .filter_map(|(cause, value)| finding(case, repeats, *cause, *value))
        .collect()
}

fn finding(
    case: &Case<'_>,
    repeats: &Repeats,
    id: CauseId,
    value: Nanos,
) -> Option<(CauseId, Finding)> {
    let value = repeats.leave(id, value);
    let kind = case.names.kind_of(id);
    // A statement's execution is judged with its call.
    if kind == CauseKind::Execution {
        return None;
    }
    let floor = case.floor(kind);
    if value < floor {
        return None;
    }
    let cost = repeats.leave(id, case.cost(id));
    let mut normal = case.normal_of(id);
    if kind == CauseKind::Retransmit {
        normal.limit = floor;
    }
    if cost < floor || value < normal.limit {
        return None;
    }
    let cause = case.names.cause_of(id);
    let held = (cause.kind == CauseKind::Pool).then(|| pool::held(case, id));
    let mut sentence = sentence(case, id, &cause, value);
    sentence += &held
        .as_ref()
        .map_or_else(String::new, |held| pool::words(held, value));
    let found = Finding {
        kind: cause.kind.finding(),
        behind: held.and_then(|held| pool::behind(&held, value)),
        of: cause.of.to_string(),
        span: case.worst(id).map(|span| span.span_id),
        cost_ns: cost,
        value,
        normal,
        floor_ns: floor,
        p: normal.p(case.endpoint.causes.get(&id), value),
        sentence: format!("{sentence}; {}.", told::normal(&normal, "requests")),
        threshold: match cause.kind {
            CauseKind::Retransmit => format!("a hole of {} or more", ms(floor)),
            _ => told::threshold(&normal, floor),
        },
    };
    Some((id, found))
}

fn sentence(case: &Case<'_>, id: CauseId, cause: &Cause, value: Nanos) -> String {
    let (took, of) = (ms(value), &*cause.of);
    match cause.kind {
        CauseKind::Retransmit => retransmit(case, id, of, value),
        CauseKind::SendFailure => send_failure(case, id, of, value),
        CauseKind::Unread => {
            let meanwhile = reader::meanwhile(case, id);
            format!(
                "{took} in {}'s receive queue ({of}): {meanwhile}",
                cause.reader()
            )
        }
        CauseKind::RunQueue => {
            let instead = reader::instead(case, id);
            format!("{of} was runnable for {took} without a CPU: {instead}")
        }
        CauseKind::Throttled => {
            format!("{of} was runnable for {took} and its cgroup's CPU quota was used up")
        }
        CauseKind::Send => format!("{took} passed before bytes {of} left the sender"),
        CauseKind::Wire => format!("bytes {of} were on the way for {took}"),
        CauseKind::Pool => format!("{took} were spent waiting for a pooled database connection"),
        CauseKind::Lock => blocked(case, id, format!("{took} were spent waiting for a lock")),
        CauseKind::Lwlock => blocked(
            case,
            id,
            format!("{took} were spent waiting for a lightweight lock inside {of}"),
        ),
        CauseKind::Disk => on_file(case, id, format!("{of} waited {took} for a disk")),
        CauseKind::File => on_file(case, id, format!("`{of}` took {took}")),
        CauseKind::Proxy => format!("{of} held the request for {took} itself"),
        CauseKind::Stopped => format!("{of} was stopped for {took}"),
        CauseKind::Cpu => at(case, id, format!("{of} was on a CPU for {took}")),
        CauseKind::Asleep => at(
            case,
            id,
            format!("nothing worked for the request in {of} for {took}"),
        ),
        CauseKind::Execution => String::new(),
    }
}

fn retransmit(case: &Case<'_>, id: CauseId, of: &str, value: Nanos) -> String {
    let resent = case.worst(id).and_then(|hole| {
        let parent = hole.parent_id();
        let way = case
            .trace
            .spans
            .iter()
            .find(|span| Some(span.span_id) == parent)?;
        let number = |key| way.attributes.int(key).unwrap_or(0).unsigned_abs();
        let segments = number(tierscope_model::attr::RETRANSMITS);
        let bytes = number(tierscope_model::attr::RETRANSMIT_BYTES);
        Some(format!(
            "; {}, {}",
            count(segments, "segment"),
            count(bytes, "byte")
        ))
    });
    let resent = resent.unwrap_or_default();
    format!(
        "a retransmit {of} held {} of this request{resent}",
        ms(value)
    )
}

fn send_failure(case: &Case<'_>, id: CauseId, of: &str, value: Nanos) -> String {
    let dropped = |span: &Span| span.attributes.int(tierscope_model::attr::DROPPED);
    let packets = case.worst(id).and_then(dropped).unwrap_or(1).unsigned_abs();
    let sender = of.split_once(" → ").map_or(of, |(from, _)| from);
    format!(
        "{sender}'s own host dropped {} {of} before it left; TCP sent it {} later",
        count(packets, "packet"),
        ms(value)
    )
}

fn blocked(case: &Case<'_>, id: CauseId, words: String) -> String {
    let lock = case.worst(id).and_then(told::lock);
    let lock = lock.map(|lock| format!(" ({lock})")).unwrap_or_default();
    format!("{words}{lock}{}", within_call(case, id))
}

fn on_file(case: &Case<'_>, id: CauseId, words: String) -> String {
    let file = case.worst(id).and_then(told::file);
    let file = file.map(|file| format!(" ({file})")).unwrap_or_default();
    format!("{words}{file}{}", within_call(case, id))
}

/// ` in UPDATE …`, where it is inside a statement.
fn within_call(case: &Case<'_>, id: CauseId) -> String {
    let longest = case.pieces(id).max_by_key(|piece| piece.segment.duration());
    let call = longest
        .and_then(|piece| piece.call)
        .map(|call| &case.profile.calls[call]);
    let text = call
        .map(|call| case.names.detail(call.place))
        .filter(|text| !text.is_empty());
    text.map(|text| format!(", in `{}`", statement(text)))
        .unwrap_or_default()
}

/// ` (most of it in render)`.
fn at(case: &Case<'_>, id: CauseId, words: String) -> String {
    match case.worst(id) {
        Some(span) => format!("{words} (most of it in `{}`)", span.name),
        None => words,
    }
}
