//! The JSON file that Jaeger's UI opens and its query API answers with.

use std::collections::BTreeMap;

use serde::Serialize;
use tierscope_model::{
    Attributes, Resource, Span, SpanEvent, SpanId, SpanKind, Status, Trace, TraceId, Value,
};

use crate::{Clock, extra};

/// JavaScript reads integers exactly up to here.
const EXACT: u64 = 1 << 53;

/// Traces as Jaeger's UI takes them.
#[derive(Debug, Serialize)]
pub struct JaegerFile {
    data: Vec<JaegerTrace>,
    total: usize,
    limit: usize,
    offset: usize,
    errors: Option<()>,
}

#[derive(Debug, Serialize)]
struct JaegerTrace {
    #[serde(rename = "traceID")]
    trace_id: TraceId,
    spans: Vec<JaegerSpan>,
    processes: BTreeMap<String, Process>,
    warnings: Option<()>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JaegerSpan {
    #[serde(rename = "traceID")]
    trace_id: TraceId,
    #[serde(rename = "spanID")]
    span_id: SpanId,
    operation_name: String,
    references: Vec<Reference>,
    start_time: u64,
    duration: u64,
    tags: Vec<Tag>,
    logs: Vec<Log>,
    #[serde(rename = "processID")]
    process_id: String,
    warnings: Option<()>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: &'static str,
    #[serde(rename = "traceID")]
    trace_id: TraceId,
    #[serde(rename = "spanID")]
    span_id: SpanId,
}

#[derive(Debug, Serialize)]
struct Tag {
    key: String,
    #[serde(rename = "type")]
    kind: &'static str,
    value: Value,
}

#[derive(Debug, Serialize)]
struct Log {
    timestamp: u64,
    fields: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    service_name: String,
    tags: Vec<Tag>,
}

/// Traces for Jaeger's UI, times in microseconds since 1970; requests that share a trace id become one trace.
pub fn to_jaeger(traces: &[Trace], clock: &Clock) -> JaegerFile {
    let mut groups: Vec<(TraceId, Vec<&Trace>)> = Vec::new();
    let mut place: BTreeMap<TraceId, usize> = BTreeMap::new();
    for trace in traces {
        let group = *place.entry(trace.trace_id).or_insert_with(|| {
            groups.push((trace.trace_id, Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push(trace);
    }
    let data = groups
        .iter()
        .map(|(id, requests)| jaeger_trace(*id, requests, clock));
    JaegerFile {
        data: data.collect(),
        total: groups.len(),
        limit: 0,
        offset: 0,
        errors: None,
    }
}

fn jaeger_trace(trace_id: TraceId, requests: &[&Trace], clock: &Clock) -> JaegerTrace {
    let mut resources: Vec<&Resource> = Vec::new();
    let mut spans = Vec::new();
    for (span, attributes) in requests.iter().flat_map(|trace| extra::spans(trace)) {
        let known = resources.iter().position(|r| **r == *span.resource);
        let process = known.unwrap_or_else(|| {
            resources.push(&span.resource);
            resources.len() - 1
        });
        spans.push(jaeger_span(
            trace_id,
            span,
            &attributes,
            process_id(process),
            clock,
        ));
    }
    let processes = resources.iter().enumerate();
    JaegerTrace {
        trace_id,
        spans,
        processes: processes
            .map(|(i, r)| (process_id(i), process(r)))
            .collect(),
        warnings: None,
    }
}

fn jaeger_span(
    trace_id: TraceId,
    span: &Span,
    attributes: &Attributes,
    process_id: String,
    clock: &Clock,
) -> JaegerSpan {
    let (start_time, duration) = clock.micros(span.start, span.end);
    let reference = |span_id| Reference {
        ref_type: "CHILD_OF",
        trace_id,
        span_id,
    };
    let mut tags = vec![tag("span.kind", kind(span.kind).into())];
    if let Status::Error(reason) = &span.status {
        tags.push(tag("error", true.into()));
        tags.push(tag("otel.status_code", "ERROR".into()));
        tags.push(tag("otel.status_description", reason.clone().into()));
    }
    tags.extend(all_tags(attributes));
    JaegerSpan {
        trace_id,
        span_id: span.span_id,
        operation_name: span.name.to_string(),
        references: span.parent_id().map(reference).into_iter().collect(),
        start_time,
        duration,
        tags,
        logs: span.events.iter().map(|event| log(event, clock)).collect(),
        process_id,
        warnings: None,
    }
}

fn log(event: &SpanEvent, clock: &Clock) -> Log {
    let mut fields = vec![tag("event", event.name.clone().into())];
    fields.extend(all_tags(&event.attributes));
    Log {
        timestamp: clock.wall_ns(event.time) / 1_000,
        fields,
    }
}

fn process(resource: &Resource) -> Process {
    Process {
        service_name: resource.service.to_string(),
        tags: all_tags(&extra::resource(resource)),
    }
}

fn process_id(index: usize) -> String {
    format!("p{}", index + 1)
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Internal => "internal",
    }
}

fn all_tags(attributes: &Attributes) -> Vec<Tag> {
    let pairs = attributes.iter();
    pairs.map(|(key, value)| tag(key, value.clone())).collect()
}

/// An integer that JavaScript would round and a float that JSON has no form for go as text.
fn tag(key: &str, value: Value) -> Tag {
    let (kind, value) = match value {
        Value::Int(int) if int.unsigned_abs() > EXACT => ("string", int.to_string().into()),
        Value::Float(float) if !float.is_finite() => ("string", float.to_string().into()),
        Value::Bool(_) => ("bool", value),
        Value::Int(_) => ("int64", value),
        Value::Float(_) => ("float64", value),
        Value::Text(_) => ("string", value),
    };
    let key = key.to_owned();
    Tag { key, kind, value }
}
