//! Any trace, text and numbers as hostile as they come.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value as Json;
use tierscope_interchange::Clock;
use tierscope_model::{
    Attributes, Evidence, Incomplete, Link, RequestId, Resource, SmolStr, Span, SpanEvent, SpanId,
    SpanKind, Status, Timestamp, Trace, TraceId, Value,
};

pub const CLOCK: Clock = Clock {
    monotonic_ns: 1_000_000_000_000,
    wall_ns: 1_795_000_000_000_000_000,
};

/// Traces of which several may share a trace id; span ids differ over all of them.
pub fn traces() -> impl Strategy<Value = Vec<Trace>> {
    prop::collection::vec((0u128..3, prop::collection::vec(raw_span(), 1..12)), 0..5).prop_map(
        |raw| {
            let mut next = 1;
            raw.into_iter()
                .map(|(id, spans)| trace(id, spans, &mut next))
                .collect()
        },
    )
}

#[derive(Clone, Debug)]
struct RawSpan {
    parent: Option<prop::sample::Index>,
    times: (u64, u64),
    text: String,
    value: Value,
    kind: SpanKind,
    failed: bool,
}

fn raw_span() -> impl Strategy<Value = RawSpan> {
    let kind = prop_oneof![
        Just(SpanKind::Client),
        Just(SpanKind::Server),
        Just(SpanKind::Internal)
    ];
    let length = prop_oneof![0..2_000u64, 0..5_000_000_000u64];
    let times = (0..5_000_000_000_000u64, length);
    (
        any::<Option<prop::sample::Index>>(),
        times,
        hostile(),
        value(),
        kind,
        any::<bool>(),
    )
        .prop_map(|(parent, times, text, value, kind, failed)| RawSpan {
            parent,
            times,
            text,
            value,
            kind,
            failed,
        })
}

/// Any characters, control characters and quotes among them.
fn hostile() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Quarters survive any reader of JSON; the last two have no form in it.
        (-9_999i32..9_999).prop_map(|n| Value::Float(f64::from(n) / 4.0)),
        Just(Value::Float(f64::NAN)),
        Just(Value::Float(f64::NEG_INFINITY)),
        hostile().prop_map(Value::from),
    ]
}

fn trace(id: u128, raw: Vec<RawSpan>, next: &mut u64) -> Trace {
    let first = *next;
    let mut spans = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let parent = raw
            .parent
            .filter(|_| index > 0)
            .map(|p| SpanId(first + p.index(index.max(1)) as u64));
        spans.push(span(SpanId(*next), parent, raw));
        *next += 1;
    }
    Trace {
        trace_id: TraceId(id + 1),
        request_id: Some(RequestId(u128::from(first))),
        endpoint: "GET /".to_owned(),
        incomplete: vec![Incomplete::EventLoss, Incomplete::Orphan],
        spans,
    }
}

fn span(span_id: SpanId, parent: Option<SpanId>, raw: RawSpan) -> Span {
    let mut attributes = Attributes::new();
    let text = SmolStr::new(&raw.text);
    attributes.set(raw.text, raw.value);
    let start = Timestamp(CLOCK.monotonic_ns + raw.times.0);
    Span {
        span_id,
        parent: parent.map(|span_id| Link {
            span_id,
            evidence: Evidence::Seq(text.clone()),
        }),
        name: text.clone(),
        kind: raw.kind,
        start,
        end: start + raw.times.1,
        status: match raw.failed {
            true => Status::Error(text.clone()),
            false => Status::Unset,
        },
        resource: Arc::new(Resource {
            service: text.clone(),
            process: "nginx".into(),
            pid: 7,
            host: text.clone(),
        }),
        events: vec![SpanEvent {
            time: start,
            name: text,
            attributes: attributes.clone(),
        }],
        attributes,
        slices: Vec::new(),
    }
}

/// What every format must keep of a span: trace id, id, parent, name, start and length in microseconds.
pub type Kept = (String, String, Option<String>, String, u64, u64);

/// What there is to keep, sorted.
pub fn expected(traces: &[Trace]) -> Vec<Kept> {
    let mut all: Vec<Kept> = traces
        .iter()
        .flat_map(|trace| trace.spans.iter().map(move |span| (trace, span)))
        .map(|(trace, span)| {
            let micros = |time: Timestamp| (CLOCK.wall_ns + (time.0 - CLOCK.monotonic_ns)) / 1_000;
            (
                trace.trace_id.to_string(),
                span.span_id.to_string(),
                span.parent_id().map(|id| id.to_string()),
                span.name.to_string(),
                micros(span.start),
                micros(span.end) - micros(span.start),
            )
        })
        .collect();
    all.sort();
    all
}

pub fn text(json: &Json) -> String {
    json.as_str().expect("text").to_owned()
}

pub fn number(json: &Json) -> u64 {
    match json {
        Json::String(digits) => digits.parse().expect("digits"),
        other => other.as_u64().expect("a number"),
    }
}

/// Every path in a document with the type found there; the keys of free maps and list places become `*`.
pub fn shape(json: &Json, free: &[&str]) -> Vec<String> {
    let mut paths = Vec::new();
    walk(json, "", free, &mut paths);
    paths.sort();
    paths.dedup();
    paths
}

fn walk(json: &Json, path: &str, free: &[&str], paths: &mut Vec<String>) {
    let kind = match json {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(items) => {
            items
                .iter()
                .for_each(|item| walk(item, &format!("{path}[]"), free, paths));
            "array"
        }
        Json::Object(map) => {
            let any = free.iter().any(|name| path.ends_with(name));
            for (key, value) in map {
                let key = if any { "*" } else { key };
                walk(value, &format!("{path}.{key}"), free, paths);
            }
            "object"
        }
    };
    paths.push(format!("{path}: {kind}"));
}
