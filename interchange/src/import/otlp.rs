//! OTLP, as JSON or protobuf, by the official message types.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span, status};
use prost::Message;
use tierscope_model::{
    Attributes, Resource, SpanEvent, SpanKind, Status, Timestamp, TraceId, Value,
};

use super::error::ImportError;
use super::field::{Id, hash, hex_text};
use super::odd::{Odd, Oddities};
use super::raw::{self, Raw, Stated};
use super::{Format, field};

/// Reads a request from its bytes.
///
/// # Errors
/// They are no such request: where reading stopped.
pub(super) fn decode(bytes: &[u8]) -> Result<ExportTraceServiceRequest, ImportError> {
    let mut rest = bytes;
    ExportTraceServiceRequest::decode(&mut rest).map_err(|error| ImportError::Protobuf {
        byte: bytes.len() - rest.len(),
        message: error.to_string(),
    })
}

/// Every span of the request.
pub(super) fn spans(request: ExportTraceServiceRequest) -> Vec<Raw> {
    let mut all = Vec::new();
    for group in request.resource_spans {
        let mut about = attributes(group.resource.map(|r| r.attributes).unwrap_or_default());
        let service = about.remove("service.name");
        let service = service.map_or(String::new(), |name| name.to_string());
        let process = raw::resource(service, about);
        for scope in group.scope_spans {
            let from = named(scope.scope);
            for span in scope.spans {
                let place = all.len() as u64;
                all.push(one(span, place, &process, &from));
            }
        }
    }
    all
}

/// The scope's name and version, as the specification puts them elsewhere; ours says nothing.
fn named(scope: Option<InstrumentationScope>) -> Attributes {
    let mut from = Attributes::new();
    let scope = scope.unwrap_or_default();
    if scope.name == "tierscope" {
        return from;
    }
    let version = ("otel.scope.version", scope.version);
    for (key, text) in [("otel.scope.name", scope.name), version] {
        if !text.is_empty() {
            from.set(key, text);
        }
    }
    for (key, value) in attributes(scope.attributes).iter() {
        from.set(format!("otel.scope.{key}"), value.clone());
    }
    from
}

fn one(span: Span, place: u64, process: &(Arc<Resource>, Attributes), from: &Attributes) -> Raw {
    let mut all = attributes(span.attributes);
    for (key, value) in from.iter().chain(process.1.iter()) {
        all.set(key.to_owned(), value.clone());
    }
    if !span.trace_state.is_empty() {
        all.set("w3c.tracestate", span.trace_state);
    }
    if let 4 | 5 = span.kind {
        all.set(
            "span.kind",
            if span.kind == 4 {
                "producer"
            } else {
                "consumer"
            },
        );
    }
    let start = Some(span.start_time_unix_nano).filter(|time| *time > 0);
    let end = Some(span.end_time_unix_nano).filter(|time| *time > 0);
    let parent = Id::of_bytes(&span.parent_span_id);
    let mut raw = Raw {
        format: Format::Otlp,
        trace: trace_id(&span.trace_id),
        id: Id::of_bytes(&span.span_id).unwrap_or_else(|| unnamed(place)),
        parent: parent.map(|id| Stated { id, follows: false }),
        name: span.name,
        kind: kind(span.kind),
        start,
        duration: start
            .zip(end)
            .and_then(|(start, end)| end.checked_sub(start)),
        status: span.status.map(status_of).unwrap_or_default(),
        resource: process.0.clone(),
        attributes: all,
        events: span.events.into_iter().map(event).collect(),
        odd: Oddities::default(),
    };
    if raw.duration.is_none() && start.is_some() && end.is_some() {
        raw.flag(Odd::EndsBeforeStart);
    }
    for link in span.links {
        let (trace, span) = (hex_text(&link.trace_id), hex_text(&link.span_id));
        raw.link(&format!("link {trace}/{span}"));
    }
    raw
}

/// An id for a span that came without one, by its place in the file.
fn unnamed(place: u64) -> Id {
    let id = hash(&place.to_le_bytes(), 7);
    Id {
        id: tierscope_model::SpanId(id),
        text: Some(String::new()),
    }
}

fn trace_id(bytes: &[u8]) -> TraceId {
    field::trace_id(&hex_text(bytes))
}

fn kind(kind: i32) -> SpanKind {
    match span::SpanKind::try_from(kind) {
        Ok(span::SpanKind::Client | span::SpanKind::Producer) => SpanKind::Client,
        Ok(span::SpanKind::Server | span::SpanKind::Consumer) => SpanKind::Server,
        _ => SpanKind::Internal,
    }
}

fn status_of(status: opentelemetry_proto::tonic::trace::v1::Status) -> Status {
    match status.code == status::StatusCode::Error as i32 {
        true => Status::Error(status.message.into()),
        false => Status::Unset,
    }
}

fn event(event: span::Event) -> SpanEvent {
    SpanEvent {
        time: Timestamp(event.time_unix_nano),
        name: event.name.into(),
        attributes: attributes(event.attributes),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    let mut all = Attributes::new();
    for pair in pairs {
        if let Some(value) = pair.value.and_then(value) {
            all.set(pair.key, value);
        }
    }
    all
}

/// Lists, maps and bytes become their JSON text.
fn value(any: AnyValue) -> Option<Value> {
    Some(match any.value? {
        any_value::Value::StringValue(text) => text.into(),
        any_value::Value::BoolValue(flag) => flag.into(),
        any_value::Value::IntValue(int) => int.into(),
        any_value::Value::DoubleValue(float) => Value::Float(float),
        any_value::Value::BytesValue(bytes) => hex_text(&bytes).into(),
        any_value::Value::StringValueStrindex(_) => return None,
        nested => plain(nested).to_string().into(),
    })
}

fn plain(any: any_value::Value) -> serde_json::Value {
    let of = |any: AnyValue| any.value.map_or(serde_json::Value::Null, plain);
    match any {
        any_value::Value::StringValue(text) => text.into(),
        any_value::Value::BoolValue(flag) => flag.into(),
        any_value::Value::IntValue(int) => int.into(),
        any_value::Value::DoubleValue(float) => float.into(),
        any_value::Value::BytesValue(bytes) => hex_text(&bytes).into(),
        any_value::Value::StringValueStrindex(_) => serde_json::Value::Null,
        any_value::Value::ArrayValue(list) => list.values.into_iter().map(of).collect(),
        any_value::Value::KvlistValue(map) => map
            .values
            .into_iter()
            .map(|pair| (pair.key, pair.value.map_or(serde_json::Value::Null, of)))
            .collect(),
    }
}
