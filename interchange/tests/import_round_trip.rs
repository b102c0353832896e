//! What we export comes back: ids, parents, evidence, exact times, attributes, events.

mod common;

use common::{CLOCK, Kept, expected, traces};
use proptest::prelude::*;
use prost::Message;
use tierscope_interchange::{Importer, to_jaeger, to_otlp, to_zipkin};
use tierscope_model::{Attributes, Span, SpanEvent, Trace, Value, attr};

/// JavaScript reads integers exactly up to here.
const EXACT: u64 = 1 << 53;

fn import(file: &[u8]) -> Vec<Trace> {
    let mut importer = Importer::default();
    importer.add(file).expect("our own export is read");
    importer.finish().traces
}

/// How a format keeps a value.
type Form = fn(&Value) -> Value;

fn otlp(value: &Value) -> Value {
    match value {
        Value::Float(float) if !float.is_finite() => value.to_string().into(),
        _ => value.clone(),
    }
}

fn jaeger(value: &Value) -> Value {
    match value {
        Value::Int(int) if int.unsigned_abs() > EXACT => value.to_string().into(),
        _ => otlp(value),
    }
}

fn zipkin(value: &Value) -> Value {
    value.to_string().into()
}

fn kept_attributes(all: &Attributes, form: Form) -> Attributes {
    let mut kept = Attributes::new();
    for (key, value) in all.iter() {
        let ours = key == attr::REQUEST_ID || key == attr::IMPORT_FORMAT;
        if !ours {
            kept.set(key.to_owned(), form(value));
        }
    }
    kept
}

fn kept_events(span: &Span, form: Form) -> Vec<(u64, String, Attributes)> {
    let one = |event: &SpanEvent| {
        let after = event.time.since(span.start);
        (
            after,
            event.name.to_string(),
            kept_attributes(&event.attributes, form),
        )
    };
    span.events.iter().map(one).collect()
}

/// All of a span but its events, its time counted from the trace's first.
fn kept(trace: &Trace, form: Form) -> Vec<Span> {
    let first = trace
        .spans
        .iter()
        .map(|span| span.start)
        .min()
        .unwrap_or_default();
    let mut spans = trace.spans.clone();
    for span in &mut spans {
        span.attributes = kept_attributes(&span.attributes, form);
        span.events.clear();
        (span.start.0, span.end.0) = (span.start.since(first), span.end.since(first));
    }
    spans.sort_by_key(|span| span.span_id);
    spans
}

fn same(before: &[Trace], after: &[Trace], form: Form, events: bool) -> Result<(), TestCaseError> {
    let as_is: Form = Value::clone;
    prop_assert_eq!(after.len(), before.len());
    for trace in before {
        let found = after.iter().find(|t| t.request_id == trace.request_id);
        let found = found.expect("the request is there");
        prop_assert_eq!(kept(found, as_is), kept(trace, form));
        prop_assert_eq!(found.spans[0].span_id, trace.spans[0].span_id);
        prop_assert_eq!(&found.incomplete, &trace.incomplete);
        prop_assert_eq!(found.trace_id, trace.trace_id);
        for span in trace.spans.iter().filter(|_| events) {
            let came = found.spans.iter().find(|s| s.span_id == span.span_id);
            let came = came.expect("the span is there");
            prop_assert_eq!(kept_events(came, as_is), kept_events(span, form));
        }
    }
    Ok(())
}

/// What every format must keep, of times since 1970.
fn wall(traces: &[Trace]) -> Vec<Kept> {
    let mut shifted = traces.to_vec();
    for span in shifted.iter_mut().flat_map(|trace| &mut trace.spans) {
        let mono = |wall: u64| wall - CLOCK.wall_ns + CLOCK.monotonic_ns;
        (span.start.0, span.end.0) = (mono(span.start.0), mono(span.end.0));
    }
    expected(&shifted)
}

proptest! {
    #[test]
    fn jaeger_comes_back(traces in traces()) {
        let file = serde_json::to_vec(&to_jaeger(&traces, &CLOCK)).expect("serialises");
        let back = import(&file);
        same(&traces, &back, jaeger, true)?;
        prop_assert_eq!(wall(&back), expected(&traces));
    }

    #[test]
    fn zipkin_comes_back(traces in traces()) {
        let file = serde_json::to_vec(&to_zipkin(&traces, &CLOCK)).expect("serialises");
        let back = import(&file);
        same(&traces, &back, zipkin, false)?;
        let at_least_one = |mut all: Vec<Kept>| {
            all.iter_mut().for_each(|span| span.5 = span.5.max(1));
            all.sort();
            all
        };
        prop_assert_eq!(at_least_one(wall(&back)), at_least_one(expected(&traces)));
    }

    #[test]
    fn otlp_comes_back_from_json_and_from_protobuf(traces in traces()) {
        let request = to_otlp(&traces, &CLOCK);
        let json = import(&serde_json::to_vec(&request).expect("serialises"));
        same(&traces, &json, otlp, true)?;
        prop_assert_eq!(wall(&json), expected(&traces));
        let bytes = request.encode_to_vec();
        if !bytes.is_empty() {
            prop_assert_eq!(import(&bytes), json);
        }
    }
}
