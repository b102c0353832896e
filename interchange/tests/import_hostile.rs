//! Any bytes: no panic, and a place for what is wrong.

use proptest::prelude::*;
use tierscope_interchange::{ImportError, Importer};

const SAMPLES: [&[u8]; 4] = [
    include_bytes!("data/jaeger-ui.json"),
    include_bytes!("data/jaeger-ui-otlp.json"),
    include_bytes!("data/zipkin-yelp.json"),
    include_bytes!("data/otlp-trace.json"),
];

fn import(bytes: &[u8]) -> Result<usize, ImportError> {
    let mut importer = Importer::default();
    let count = importer.add(bytes)?;
    let spans: usize = importer.finish().traces.iter().map(|t| t.spans.len()).sum();
    assert_eq!(spans, count, "no span is lost");
    Ok(count)
}

/// Id, parent, kind, start, duration, shared.
type Stated = (u8, Option<u8>, u8, i64, i64, bool);

/// Spans that state any ids, parents and times, few enough to meet.
fn any_spans() -> impl Strategy<Value = Vec<Stated>> {
    let time = prop_oneof![Just(-1i64), 0..50i64, any::<i64>()];
    let span = (
        0..6u8,
        any::<Option<u8>>(),
        0..3u8,
        time.clone(),
        time,
        any::<bool>(),
    );
    prop::collection::vec(span, 0..12)
}

fn zipkin(spans: &[Stated]) -> String {
    let one = |(id, parent, kind, start, duration, shared): &Stated| {
        let kind = ["CLIENT", "SERVER", "PRODUCER"][usize::from(*kind)];
        serde_json::json!({
            "traceId": "1", "id": id.to_string(), "shared": shared,
            "parentId": parent.map(|p| (p % 8).to_string()),
            "kind": kind,
            "timestamp": start, "duration": duration,
            "localEndpoint": {"serviceName": kind},
        })
    };
    serde_json::Value::Array(spans.iter().map(one).collect()).to_string()
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = import(&bytes);
    }

    #[test]
    fn samples_with_a_byte_changed_or_cut_off(
        sample in 0..4usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = SAMPLES[sample].to_vec();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            let whole = bytes.trim_ascii_end().len() == SAMPLES[sample].trim_ascii_end().len();
            prop_assert_eq!(import(&bytes).is_ok(), whole);
        } else {
            bytes[at] = byte;
            let _ = import(&bytes);
        }
    }

    #[test]
    fn any_ids_parents_and_times_give_trees(spans in any_spans()) {
        let mut importer = Importer::default();
        importer.add(zipkin(&spans).as_bytes()).expect("it is Zipkin's JSON");
        for trace in importer.finish().traces {
            let mut before = std::collections::HashSet::new();
            for span in &trace.spans {
                prop_assert!(span.parent_id().is_none_or(|id| before.contains(&id)), "parents first");
                prop_assert!(before.insert(span.span_id), "an id stands once");
            }
            prop_assert_eq!(trace.spans.len(), spans.len());
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, told) in [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        (
            "{\"data\": [\n {\"spans\": ",
            "line 2, column 11: EOF while parsing a value",
        ),
        (
            "[1, 2]",
            "line 1: a list that begins with a single value is neither",
        ),
        (
            "\n\n{\"a\": 1, \"b\": 2}",
            "line 3: an object with \"a\", \"b\" is neither",
        ),
        (
            "{\"data\": [{\"traceID\": \"1\", \"spans\": [\n{\"operationName\": \"x\"}]}]}",
            "line 2, column 22: missing field `spanID`",
        ),
        (
            "[{\"traceId\": \"1\", \"id\": \"2\",\n \"timestamp\": \"noon\"}]",
            "line 2, column 20: invalid value: string \"noon\", expected a number of microseconds",
        ),
        (
            "{\"resourceSpans\": []}\n{\"resourceSpans\": 5}",
            "line 2, column 19: invalid type: integer `5`, expected a sequence",
        ),
        (
            "{\"resourceSpans\": [{\"scopeSpans\": [{\"spans\": [{\"spanId\": \"xy\"}]}]}]}",
            "line 1, column 61: invalid character",
        ),
        ("\u{8}hello", "byte 1: neither JSON nor OTLP protobuf"),
    ] {
        let said = import(text.as_bytes()).expect_err(text).to_string();
        assert!(said.starts_with(told), "{said}\nnot\n{told}");
    }
}

#[test]
fn deep_nesting_is_refused_and_a_long_chain_is_no_problem() {
    let deep = "[".repeat(100_000);
    assert!(import(deep.as_bytes()).is_err());
    let span = |n: u32| {
        format!(
            "{{\"traceId\":\"1\",\"id\":\"{n:x}\",\"parentId\":\"{:x}\"}}",
            n + 1
        )
    };
    let chain: Vec<String> = (1..100_000).map(span).collect();
    assert_eq!(
        import(format!("[{}]", chain.join(",")).as_bytes()),
        Ok(99_999)
    );
}
