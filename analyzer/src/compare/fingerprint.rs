//! What makes two spans of two traces the same thing.

use tierscope_model::{Evidence, SmolStr, Span, SpanKind, attr};

/// Name and detail; numbers in a path are one.
pub(super) fn name(span: &Span) -> String {
    let base = match span.kind {
        SpanKind::Server => server(span),
        _ => without_numbers(&span.name),
    };
    match detail(span) {
        Some(detail) if !base.contains(&detail) => format!("{base} {detail}"),
        _ => base,
    }
}

/// Equal for spans that are one row: side of the call, service and name.
pub(super) fn fingerprint(span: &Span) -> (SpanKind, SmolStr, String) {
    let statement = span
        .attributes
        .text(attr::DB_QUERY_TEXT)
        .unwrap_or_default();
    let name = format!("{} {statement}", name(span));
    (span.kind, span.resource.service.clone(), name)
}

/// A server's span is called by its service, if our own assembler made it.
fn server(span: &Span) -> String {
    use Evidence::{Follows, Stated};
    match span.parent.as_ref().map(|link| &link.evidence) {
        Some(Stated(_) | Follows(_)) => without_numbers(&span.name),
        _ => span.resource.service.to_string(),
    }
}

/// The statement's summary, the hop with its direction, or what a file operation is on.
fn detail(span: &Span) -> Option<String> {
    let summary = || span.attributes.text(attr::DB_QUERY_SUMMARY);
    hop(span).or_else(|| summary().map(str::to_owned))
}

/// Both ends of the way that the span is a part of, in the direction that the bytes went.
pub(super) fn way(span: &Span) -> Option<String> {
    span.attributes.text(attr::PART)?;
    hop(span)
}

fn hop(span: &Span) -> Option<String> {
    let hop = span.attributes.text(attr::HOP)?;
    let back = span.attributes.text(attr::DIRECTION) == Some("response");
    Some(match hop.split_once(" → ") {
        Some((near, far)) if back => format!("{far} → {near}"),
        _ => hop.to_owned(),
    })
}

/// `/owners/8/pets/10` as `/owners/{id}/pets/{id}`.
fn without_numbers(name: &str) -> String {
    if !name.contains('/') {
        return name.to_owned();
    }
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = name
        .split('/')
        .map(|part| if is_number(part) { "{id}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_path_do_not_tell_requests_apart() {
        assert_eq!(
            without_numbers("GET /owners/8/pets/10"),
            "GET /owners/{id}/pets/{id}"
        );
        assert_eq!(without_numbers("shard 8"), "shard 8");
        assert_eq!(without_numbers("GET /v2/x"), "GET /v2/x");
    }
}
