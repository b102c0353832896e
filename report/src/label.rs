//! What a span is called and what is remarkable about it, in words.

use tierscope_model::{Incomplete, Span, SpanEvent, SpanKind, Status, attr};

use crate::text::visible_clip;

/// Longest piece of outside text in a label or note, in columns.
const LONGEST: usize = 60;

/// A span's short name, safe to draw.
pub(crate) fn span_label(span: &Span) -> String {
    let detail = [attr::DB_QUERY_SUMMARY, attr::FILE_PATH]
        .iter()
        .find_map(|key| span.attributes.text(key))
        .filter(|detail| !span.name.contains(detail));
    match (span.kind, detail) {
        (SpanKind::Server, _) => visible_clip(&span.resource.service, LONGEST),
        (_, Some(detail)) if !is_exchange(span) => {
            visible_clip(&format!("{} {detail}", span.name), LONGEST)
        }
        _ => visible_clip(&span.name, LONGEST),
    }
}

/// An event's name with its cache key.
pub(crate) fn event_label(event: &SpanEvent) -> String {
    match event.attributes.text(attr::CACHE_KEY) {
        Some(key) => visible_clip(&format!("{} {key}", event.name), LONGEST),
        None => visible_clip(&event.name, LONGEST),
    }
}

/// What went wrong with the span, safe to draw.
pub(crate) fn error(span: &Span) -> Option<String> {
    match &span.status {
        Status::Unset => None,
        Status::Error(reason) if reason.is_empty() => Some("error".to_owned()),
        Status::Error(reason) => Some(format!("error: {}", visible_clip(reason, LONGEST))),
    }
}

/// What a reader should know besides the duration: error, retransmits, rows, what was not measured.
pub(crate) fn notes(span: &Span) -> Vec<String> {
    let mut notes: Vec<String> = error(span).into_iter().collect();
    if let Some(count) = span.attributes.int(attr::RETRANSMITS).filter(|n| *n > 0) {
        notes.push(format!("retransmits {count}"));
    }
    if let Some(rows) = span.attributes.int(attr::DB_RESPONSE_RETURNED_ROWS) {
        notes.push(format!("rows {rows}"));
    }
    if let Some(what) = span.attributes.get(attr::NOT_MEASURED) {
        let what = visible_clip(&what.to_string(), LONGEST);
        notes.push(format!("not measured: {what}"));
    }
    if let Some(cut) = span.attributes.int(attr::CLAMPED).filter(|n| *n > 0) {
        let cut = crate::duration::human(cut.unsigned_abs());
        notes.push(format!("cut by {cut} to fit its parent"));
    }
    notes
}

/// Both ends of a hop part in the direction its bytes went, e.g. `nginx → app`.
pub(crate) fn hop(span: &Span) -> Option<String> {
    span.attributes.text(attr::PART)?;
    let hop = span.attributes.text(attr::HOP)?;
    let response = span.attributes.text(attr::DIRECTION) == Some("response");
    let text = match hop.split_once(" → ") {
        Some((near, far)) if response => format!("{far} → {near}"),
        _ => hop.to_owned(),
    };
    Some(visible_clip(&text, LONGEST))
}

/// Whether a hop part is the wait in the receiver's socket buffer.
pub(crate) fn is_queue(span: &Span) -> bool {
    span.attributes.text(attr::PART) == Some("receive queue")
}

/// Whether the span is one PostgreSQL exchange of a query.
pub(crate) fn is_exchange(span: &Span) -> bool {
    span.attributes.get(attr::DB_EXCHANGE).is_some()
}

/// Why a trace may lack something, in words.
pub(crate) fn incomplete(reason: Incomplete) -> &'static str {
    match reason {
        Incomplete::EventLoss => "events were lost while it was open",
        Incomplete::NoResponse => "a request had no answer within the time allowed",
        Incomplete::NoRequest => "an answer had no request",
        Incomplete::ConnectionClosed => "a connection closed midway",
        Incomplete::RecordingEdge => "it was open when the recording began or ended",
        Incomplete::Orphan => "a span could not be joined to its parent",
        Incomplete::MessageEnd => "a message's end was not seen exactly",
        Incomplete::Budget => "the memory budget was reached",
    }
}
