//! OTLP export: nothing lost, ids in hex, times as text, JSON and protobuf alike.

mod common;

use common::{CLOCK, Kept, expected, number, shape, text, traces};
use proptest::prelude::*;
use prost::Message;
use serde_json::Value as Json;
use tierscope_interchange::{ExportTraceServiceRequest, to_otlp};
use tierscope_model::Trace;

fn export(traces: &[Trace]) -> Json {
    let file = serde_json::to_string(&to_otlp(traces, &CLOCK)).expect("serialises");
    serde_json::from_str(&file).expect("valid JSON")
}

fn spans(file: &Json) -> impl Iterator<Item = &Json> {
    let groups = file["resourceSpans"].as_array().into_iter().flatten();
    let scopes = groups.flat_map(|g| g["scopeSpans"].as_array().into_iter().flatten());
    scopes.flat_map(|s| s["spans"].as_array().into_iter().flatten())
}

fn kept(span: &Json) -> Kept {
    let micros = |key: &str| {
        assert!(
            span[key].is_string(),
            "64-bit numbers are text in OTLP/JSON"
        );
        number(&span[key]) / 1_000
    };
    let (start, end) = (micros("startTimeUnixNano"), micros("endTimeUnixNano"));
    (
        text(&span["traceId"]),
        text(&span["spanId"]),
        span["parentSpanId"]
            .as_str()
            .filter(|id| !id.is_empty())
            .map(str::to_owned),
        text(&span["name"]),
        start,
        end - start,
    )
}

proptest! {
    #[test]
    fn count_ids_parents_and_times_are_kept(traces in traces()) {
        let file = export(&traces);
        let mut found: Vec<Kept> = spans(&file).map(kept).collect();
        found.sort();
        prop_assert_eq!(found, expected(&traces));
    }

    #[test]
    fn the_receiver_reads_the_same_from_json_and_from_protobuf(traces in traces()) {
        let request = to_otlp(&traces, &CLOCK);
        let json = serde_json::to_string(&request).expect("serialises");
        let from_json: ExportTraceServiceRequest = serde_json::from_str(&json).expect("reads back");
        let from_bytes = ExportTraceServiceRequest::decode(&request.encode_to_vec()[..]).expect("decodes");
        prop_assert_eq!(&from_json, &request);
        prop_assert_eq!(&from_bytes, &request);
    }

    #[test]
    fn nothing_is_null_and_the_shape_holds_the_official_samples(traces in traces()) {
        let sample: Json = serde_json::from_str(include_str!("data/otlp-trace.json")).expect("valid");
        let ours = shape(&export(&traces), &[]);
        prop_assert!(!ours.iter().any(|path| path.ends_with(": null")), "{ours:?}");
        let whole = traces.iter().any(|t| t.spans.iter().any(|s| s.parent.is_some()));
        for path in shape(&sample, &[]).iter().filter(|p| whole && !p.contains("scope.attributes[]")) {
            prop_assert!(ours.contains(path), "{path} is missing");
        }
    }
}
