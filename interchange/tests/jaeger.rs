//! Jaeger export: nothing lost, and the shape of a file of Jaeger's own.

mod common;

use common::{CLOCK, Kept, expected, number, shape, text, traces};
use proptest::prelude::*;
use serde_json::Value as Json;
use tierscope_interchange::to_jaeger;
use tierscope_model::Trace;

fn export(traces: &[Trace]) -> Json {
    let file = serde_json::to_string(&to_jaeger(traces, &CLOCK)).expect("serialises");
    serde_json::from_str(&file).expect("valid JSON")
}

fn spans(file: &Json) -> impl Iterator<Item = &Json> {
    let traces = file["data"].as_array().into_iter().flatten();
    traces.flat_map(|t| t["spans"].as_array().into_iter().flatten())
}

fn kept(span: &Json) -> Kept {
    let reference = &span["references"][0];
    let parent = reference["spanID"].as_str().map(str::to_owned);
    assert!(
        parent.is_none()
            || reference["refType"] == "CHILD_OF" && reference["traceID"] == span["traceID"]
    );
    (
        text(&span["traceID"]),
        text(&span["spanID"]),
        parent,
        text(&span["operationName"]),
        number(&span["startTime"]),
        number(&span["duration"]),
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
    fn a_trace_id_stands_once_and_every_process_is_known(traces in traces()) {
        let file = export(&traces);
        let groups = file["data"].as_array().into_iter().flatten();
        let mut ids: Vec<&str> = groups.filter_map(|t| t["traceID"].as_str()).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
        for trace in file["data"].as_array().into_iter().flatten() {
            for span in trace["spans"].as_array().into_iter().flatten() {
                prop_assert!(trace["processes"][text(&span["processID"])].is_object());
            }
        }
    }

    #[test]
    fn tags_have_the_type_they_name(traces in traces()) {
        for tag in spans(&export(&traces)).flat_map(|s| s["tags"].as_array().into_iter().flatten()) {
            let value = &tag["value"];
            let right = match tag["type"].as_str() {
                Some("bool") => value.is_boolean(),
                Some("int64") => value.is_i64(),
                Some("float64") => value.is_f64(),
                _ => value.is_string(),
            };
            prop_assert!(right, "{tag}");
        }
    }

    #[test]
    fn an_orphan_says_so_and_others_give_their_evidence(traces in traces()) {
        let roots: Vec<String> = traces.iter().map(|t| t.spans[0].span_id.to_string()).collect();
        for span in spans(&export(&traces)) {
            let tags = span["tags"].as_array().into_iter().flatten();
            let has: Vec<&str> = tags.filter_map(|t| t["key"].as_str()).collect();
            let joined = span["references"][0].is_object();
            let root = roots.contains(&text(&span["spanID"]));
            prop_assert_eq!(has.contains(&"tierscope.evidence.id"), joined);
            prop_assert_eq!(has.contains(&"tierscope.orphan"), !joined && !root);
            prop_assert_eq!(has.contains(&"tierscope.incomplete"), root);
        }
    }

    #[test]
    fn the_shape_is_that_of_jaegers_own_file(traces in traces()) {
        let sample: Json = serde_json::from_str(include_str!("data/jaeger-ui.json")).expect("valid");
        let known = shape(&sample, &[".processes"]);
        let whole = traces.iter().any(|t| t.spans.iter().any(|s| s.parent.is_some()));
        let ours = shape(&export(&traces), &[".processes"]);
        let beyond = |path: &&String| !path.contains(".logs[]") && !path.contains("tags[]");
        for path in ours.iter().filter(beyond) {
            prop_assert!(known.contains(path), "{path} is not in Jaeger's file");
        }
        for path in known.iter().filter(|_| whole) {
            prop_assert!(ours.contains(path), "{path} is missing");
        }
    }
}
