//! OTLP/JSON, by the official message types.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as OtlpSpan, Status as OtlpStatus, span, status,
};
use tierscope_model::{
    Attributes, Resource, Span, SpanEvent, SpanKind, Status, Trace, TraceId, Value,
};

use crate::{Clock, extra};

/// Traces as an OTLP export request, spans grouped by process. Serialises to OTLP/JSON
/// (ids in hex, times as text in nanoseconds since 1970).
pub fn to_otlp(traces: &[Trace], clock: &Clock) -> ExportTraceServiceRequest {
    let mut resource_spans: Vec<ResourceSpans> = Vec::new();
    let mut place: HashMap<&Resource, usize> = HashMap::new();
    for trace in traces {
        for (span, attributes) in extra::spans(trace) {
            let group = *place.entry(&span.resource).or_insert_with(|| {
                resource_spans.push(empty_group(&span.resource));
                resource_spans.len() - 1
            });
            let span = otlp_span(trace.trace_id, span, &attributes, clock);
            resource_spans[group].scope_spans[0].spans.push(span);
        }
    }
    ExportTraceServiceRequest { resource_spans }
}

/// A process without spans. Its scope is set: receivers refuse the `null` that serde would write.
fn empty_group(resource: &Resource) -> ResourceSpans {
    let mut attributes = vec![key_value("service.name", &resource.service.clone().into())];
    attributes.extend(key_values(&extra::resource(resource)));
    let scope = InstrumentationScope {
        name: "tierscope".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    ResourceSpans {
        resource: Some(OtlpResource {
            attributes,
            ..Default::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn otlp_span(trace_id: TraceId, span: &Span, attributes: &Attributes, clock: &Clock) -> OtlpSpan {
    let parent = span.parent_id().map(|id| id.0.to_be_bytes().to_vec());
    OtlpSpan {
        trace_id: trace_id.0.to_be_bytes().to_vec(),
        span_id: span.span_id.0.to_be_bytes().to_vec(),
        parent_span_id: parent.unwrap_or_default(),
        name: span.name.to_string(),
        kind: kind(span.kind) as i32,
        start_time_unix_nano: clock.wall_ns(span.start),
        end_time_unix_nano: clock.wall_ns(span.end),
        attributes: key_values(attributes),
        events: span.events.iter().map(|e| event(e, clock)).collect(),
        status: Some(otlp_status(&span.status)),
        ..Default::default()
    }
}

fn kind(kind: SpanKind) -> span::SpanKind {
    match kind {
        SpanKind::Client => span::SpanKind::Client,
        SpanKind::Server => span::SpanKind::Server,
        SpanKind::Internal => span::SpanKind::Internal,
    }
}

fn otlp_status(status: &Status) -> OtlpStatus {
    match status {
        Status::Unset => OtlpStatus::default(),
        Status::Error(reason) => OtlpStatus {
            message: reason.to_string(),
            code: status::StatusCode::Error as i32,
        },
    }
}

fn event(event: &SpanEvent, clock: &Clock) -> span::Event {
    span::Event {
        time_unix_nano: clock.wall_ns(event.time),
        name: event.name.to_string(),
        attributes: key_values(&event.attributes),
        ..Default::default()
    }
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    let pairs = attributes.iter();
    pairs.map(|(key, value)| key_value(key, value)).collect()
}

/// A float that JSON has no form for goes as text.
fn key_value(key: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Bool(flag) => any_value::Value::BoolValue(*flag),
        Value::Int(int) => any_value::Value::IntValue(*int),
        Value::Float(float) if float.is_finite() => any_value::Value::DoubleValue(*float),
        Value::Float(_) | Value::Text(_) => any_value::Value::StringValue(value.to_string()),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}
