//! Zipkin export: nothing lost, and the shape of Zipkin's own samples.

mod common;

use common::{CLOCK, Kept, expected, number, shape, text, traces};
use proptest::prelude::*;
use serde_json::Value as Json;
use tierscope_interchange::to_zipkin;
use tierscope_model::{Trace, attr};

fn export(traces: &[Trace]) -> Json {
    let file = serde_json::to_string(&to_zipkin(traces, &CLOCK)).expect("serialises");
    serde_json::from_str(&file).expect("valid JSON")
}

fn kept(span: &Json) -> Kept {
    (
        text(&span["traceId"]),
        text(&span["id"]),
        span["parentId"].as_str().map(str::to_owned),
        text(&span["name"]),
        number(&span["timestamp"]),
        number(&span["duration"]),
    )
}

proptest! {
    #[test]
    fn count_ids_parents_and_times_are_kept(traces in traces()) {
        let file = export(&traces);
        let mut found: Vec<Kept> = file.as_array().into_iter().flatten().map(kept).collect();
        let mut expected = expected(&traces);
        expected.iter_mut().for_each(|span| span.5 = span.5.max(1));
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn only_calls_have_a_kind(traces in traces()) {
        let kinds = [Json::Null, "CLIENT".into(), "SERVER".into()];
        for span in export(&traces).as_array().into_iter().flatten() {
            prop_assert!(kinds.contains(&span["kind"]));
        }
    }

    #[test]
    fn the_shape_is_that_of_zipkins_samples(mut traces in traces()) {
        for span in traces.iter_mut().flat_map(|t| &mut t.spans) {
            span.attributes.set(attr::NETWORK_PEER_ADDRESS, "127.0.0.1");
            span.attributes.set(attr::NETWORK_PEER_PORT, 8080i64);
        }
        let many: Json = serde_json::from_str(include_str!("data/zipkin-ascend.json")).expect("valid");
        let one: Json = serde_json::from_str(include_str!("data/zipkin2-client.json")).expect("valid");
        let known = [shape(&many, &[".tags"]), shape(&Json::Array(vec![one]), &[".tags"])].concat();
        for path in shape(&export(&traces), &[".tags"]) {
            prop_assert!(known.contains(&path), "{path} is not in Zipkin's samples");
        }
    }
}
