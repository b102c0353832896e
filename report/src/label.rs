//! What a span is called and what is remarkable about it, in words.

use tierscope_model::{Incomplete, Span, SpanEvent, SpanKind, Status, Trace, attr};

use crate::duration::human;
use crate::text::visible_clip;

/// Longest piece of outside text in a label or note, in columns.
const LONGEST: usize = 60;

/// A span's short name, safe to draw; a server span is called by its service.
pub(crate) fn span_label(span: &Span) -> String {
    match span.kind {
        SpanKind::Server => visible_clip(&span.resource.service, LONGEST),
        _ => work_label(span),
    }
}

/// What a span does, with the statement or the file it does it to.
pub(crate) fn work_label(span: &Span) -> String {
    let detail = [attr::DB_QUERY_SUMMARY, attr::FILE_PATH]
        .iter()
        .find_map(|key| span.attributes.text(key))
        .filter(|detail| !span.name.contains(detail) && !is_exchange(span));
    match detail {
        Some(detail) => visible_clip(&format!("{} {detail}", span.name), LONGEST),
        None => visible_clip(&span.name, LONGEST),
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

/// What a reader should know besides the duration: error, retransmits, rows, buffers, locks, what was not
/// measured.
pub(crate) fn notes(span: &Span) -> Vec<String> {
    let mut notes: Vec<String> = error(span).into_iter().collect();
    notes.extend(retransmits(span));
    notes.extend(work(span));
    let rows = span.attributes.int(attr::DB_RESPONSE_RETURNED_ROWS);
    notes.extend(
        rows.filter(|_| span.kind == SpanKind::Client)
            .map(|n| format!("rows {n}")),
    );
    if let Some(what) = span.attributes.get(attr::NOT_MEASURED) {
        let what = visible_clip(&what.to_string(), LONGEST);
        notes.push(match what.contains("not measured") {
            true => what.to_string(),
            false => format!("not measured: {what}"),
        });
    }
    notes.extend(imported(span));
    if let Some(over) = positive(span, attr::OUTLIVES_PARENT_NS) {
        notes.push(format!("ends {} after its parent", human(over)));
    }
    notes
}

/// What is odd about a span that another tool wrote.
fn imported(span: &Span) -> Vec<String> {
    let odd = span.attributes.text(attr::IMPORT_ODD);
    let mut notes: Vec<String> = odd
        .map(|odd| visible_clip(odd, LONGEST))
        .into_iter()
        .collect();
    let early = positive(span, attr::STARTS_BEFORE_PARENT_NS);
    notes.extend(early.map(|ns| format!("starts {} before its parent", human(ns))));
    notes
}

/// An integer attribute, if it is over 0.
fn positive(span: &Span, key: &str) -> Option<u64> {
    let value = span.attributes.int(key).filter(|n| *n > 0)?;
    Some(value.unsigned_abs())
}

fn retransmits(span: &Span) -> Vec<String> {
    let Some(count) = positive(span, attr::RETRANSMITS) else {
        return Vec::new();
    };
    let mut notes = vec![format!("retransmits {count}")];
    notes.extend(positive(span, attr::RETRANSMIT_HOLE_NS).map(|ns| format!("hole {}", human(ns))));
    notes.extend(positive(span, attr::RETRANSMIT_SPURIOUS).map(|n| format!("{n} spurious")));
    notes
}

/// What a stretch of work did to files, buffers and locks.
fn work(span: &Span) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(positive(span, attr::COUNT).map(|n| format!("×{n}")));
    if let Some(bytes) = positive(span, attr::BYTES).filter(|_| direction(span).is_none()) {
        notes.push(format!("{bytes} bytes"));
    }
    let hits = span.attributes.int(attr::BUFFER_HITS);
    let reads = span.attributes.int(attr::BUFFER_READS);
    if hits.is_some() || reads.is_some() {
        let (hits, reads) = (hits.unwrap_or(0), reads.unwrap_or(0));
        notes.push(format!("buffers {hits} hit, {reads} read"));
    }
    let lock = [attr::LWLOCK_TRANCHE, attr::LOCK_TYPE];
    let lock = lock.iter().find_map(|key| span.attributes.text(key));
    notes.extend(lock.map(|lock| visible_clip(lock, LONGEST)));
    let tag = span.attributes.text(attr::LOCK_TAG);
    notes.extend(tag.map(|tag| visible_clip(tag, LONGEST)));
    notes
}

/// `request` or `response` for a part of a hop, none for other spans.
pub(crate) fn direction(span: &Span) -> Option<&str> {
    span.attributes.text(attr::PART)?;
    span.attributes.text(attr::HOP)?;
    Some(span.attributes.text(attr::DIRECTION).unwrap_or("request"))
}

/// Both ends of the hop that the span is a part of, e.g. `nginx → app`, the caller first.
pub(crate) fn hop_name(span: &Span) -> Option<String> {
    direction(span)?;
    let hop = span.attributes.text(attr::HOP)?;
    Some(visible_clip(hop, LONGEST))
}

/// Both ends of a hop in the direction that the part's bytes went.
pub(crate) fn hop(span: &Span) -> Option<String> {
    let hop = hop_name(span)?;
    match hop.split_once(" → ") {
        Some((near, far)) if direction(span) == Some("response") => Some(format!("{far} → {near}")),
        _ => Some(hop),
    }
}

/// Whether a hop part is the wait in the receiver's socket buffer.
pub(crate) fn is_queue(span: &Span) -> bool {
    span.attributes.text(attr::PART) == Some("receive queue")
}

/// Whether a hop part is the way from the first write to the device.
pub(crate) fn is_send(span: &Span) -> bool {
    span.attributes.text(attr::PART) == Some("send")
}

/// Whether the span is the caller's side of one PostgreSQL exchange.
pub(crate) fn is_exchange(span: &Span) -> bool {
    span.kind == SpanKind::Client && span.attributes.get(attr::DB_EXCHANGE).is_some()
}

/// Whether it is an exchange that runs a statement: not a prepare, not connection upkeep.
pub(crate) fn is_query_exchange(span: &Span) -> bool {
    let exchange = span.attributes.text(attr::DB_EXCHANGE);
    is_exchange(span) && matches!(exchange, Some("query" | "simple query"))
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
        Incomplete::NoTime => "a span came without its start or its length",
    }
}

/// Path, status and ids of the request, safe to draw.
pub(crate) fn facts(trace: &Trace) -> Vec<String> {
    let attributes = trace.root().map(|root| &root.attributes);
    let get = |key| attributes.and_then(|a| a.get(key)).map(ToString::to_string);
    let mut facts = Vec::new();
    facts.extend(get(attr::URL_PATH).map(|path| visible_clip(&path, 200)));
    facts.extend(
        get(attr::HTTP_RESPONSE_STATUS_CODE).map(|s| format!("status {}", visible_clip(&s, 20))),
    );
    facts.extend(trace.request_id.map(|id| format!("request {id}")));
    if trace.request_id.map(Into::into) != Some(trace.trace_id) {
        facts.push(format!("trace {}", trace.trace_id));
    }
    facts
}
