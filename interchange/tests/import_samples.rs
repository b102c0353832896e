//! Traces that others made: nothing is lost, and what is odd is flagged.

use std::collections::BTreeSet;

use tierscope_interchange::{Imported, Importer, Odd};
use tierscope_model::{Evidence, Incomplete, Span, SpanKind, Status, Trace, attr};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("data/", $name))
    };
}

fn import(files: &[&[u8]]) -> Imported {
    let mut importer = Importer::default();
    for file in files {
        importer.add(file).expect("a sample is read");
    }
    importer.finish()
}

/// The one trace of a file.
fn one(file: &[u8]) -> Trace {
    let mut traces = import(&[file]).traces;
    assert_eq!(traces.len(), 1);
    traces.remove(0)
}

/// Names in pre-order, indented.
fn outline(trace: &Trace) -> Vec<String> {
    let mut depths = std::collections::HashMap::new();
    let spans = trace.spans.iter().map(|span| {
        let depth = span.parent_id().map_or(0, |parent| depths[&parent] + 1);
        depths.insert(span.span_id, depth);
        let kind = match span.kind {
            SpanKind::Client => " client",
            SpanKind::Server => " server",
            SpanKind::Internal => "",
        };
        format!(
            "{}{} {}{kind}",
            "  ".repeat(depth),
            span.resource.service,
            span.name
        )
    });
    spans.collect()
}

fn odd(span: &Span) -> &str {
    span.attributes.text(attr::IMPORT_ODD).unwrap_or_default()
}

#[test]
fn every_span_of_every_sample_is_there_once() {
    let samples: [(&[u8], usize); 13] = [
        (sample!("jaeger-ui.json"), 2),
        (sample!("jaeger-ui-otlp.json"), 2),
        (sample!("jaeger-flamegraph.json"), 4),
        (sample!("jaeger-long-span.json"), 8),
        (sample!("jaeger-overlapping.json"), 3),
        (sample!("jaeger-three-short.json"), 4),
        (sample!("jaeger-two.json"), 3),
        (sample!("otlp-trace.json"), 1),
        (sample!("zipkin-ascend.json"), 8),
        (sample!("zipkin-messaging2.json"), 11),
        (sample!("zipkin-skew.json"), 4),
        (sample!("zipkin-yelp.json"), 16),
        (sample!("zipkin2-client.json"), 1),
    ];
    for (file, count) in samples {
        let trace = one(file);
        let ids: BTreeSet<_> = trace.spans.iter().map(|span| span.span_id).collect();
        assert_eq!(
            (trace.spans.len(), ids.len()),
            (count, count),
            "{}",
            trace.endpoint
        );
        assert!(trace.spans.iter().all(|span| span.start <= span.end));
    }
}

#[test]
fn jaeger_and_otlp_hold_the_same_trace() {
    let (otlp, jaeger) = (
        one(sample!("jaeger-ui-otlp.json")),
        one(sample!("jaeger-ui.json")),
    );
    assert_eq!(otlp.trace_id, jaeger.trace_id);
    let told = |trace: &Trace| -> Vec<_> {
        let spans = trace.spans.iter();
        let facts = spans.map(|span| {
            let peer = span.attributes.text("peer.service").map(str::to_owned);
            let times = (span.start, span.end);
            let service = span.resource.service.clone();
            (
                span.span_id,
                span.name.clone(),
                span.kind,
                times,
                service,
                peer,
            )
        });
        facts.collect()
    };
    assert_eq!(told(&otlp), told(&jaeger));
    assert_eq!(otlp.spans[0].start.0, 1_706_678_909_209_712_000);
    assert_eq!(otlp.duration(), 123_000);
}

#[test]
fn a_parent_outside_the_file_and_a_span_twice_are_kept() {
    let trace = one(sample!("jaeger-ui.json"));
    let [first, again] = &trace.spans[..] else {
        panic!("two spans");
    };
    assert_eq!(
        (odd(first), odd(again)),
        ("parent not found", "same id again, parent not found")
    );
    assert_eq!(
        first.attributes.text(attr::IMPORT_PARENT),
        Some("909541b92cf05311")
    );
    assert_eq!(
        again.attributes.text(attr::IMPORT_ID),
        Some("e127af99e3b3e074")
    );
    assert_eq!(trace.incomplete, [Incomplete::Orphan]);
}

#[test]
fn the_official_otlp_span_is_whole() {
    let trace = one(sample!("otlp-trace.json"));
    let span = &trace.spans[0];
    assert_eq!(
        trace.trace_id.to_string(),
        "5b8efff798038103d269b633813fc60c"
    );
    assert_eq!(span.span_id.to_string(), "eee19b7ec3c1b174");
    assert_eq!(
        (span.name.as_str(), span.kind),
        ("I'm a server span", SpanKind::Server)
    );
    assert_eq!(
        (span.duration(), span.resource.service.as_str()),
        (1_000_000_000, "my.service")
    );
    for (key, text) in [
        ("my.span.attr", "some value"),
        ("otel.scope.name", "my.library"),
        ("otel.scope.my.scope.attribute", "some scope attribute"),
        (attr::IMPORT_PARENT, "eee19b7ec3c1b173"),
        (attr::IMPORT_FORMAT, "otlp"),
    ] {
        assert_eq!(span.attributes.text(key), Some(text), "{key}");
    }
}

#[test]
fn a_server_that_shares_its_clients_id_hangs_on_the_client() {
    let trace = one(sample!("zipkin-ascend.json"));
    let expected = [
        "mobile-gateway get server",
        "  mobile-gateway get client",
        "    auth-service http:/parent/auth-service/v1/authentications/ server",
        "      auth-service extend-token-life",
        "  mobile-gateway get client",
        "    content-service get /content/personal server",
        "      content-service hystrix",
        "      content-service get client",
    ];
    assert_eq!(outline(&trace), expected);
    let shared: Vec<&Span> = trace
        .spans
        .iter()
        .filter(|s| odd(s) == "shared id")
        .collect();
    assert_eq!(shared.len(), 2);
    for half in shared {
        let client = trace
            .spans
            .iter()
            .find(|s| Some(s.span_id) == half.parent_id());
        let client = client.expect("its client");
        assert_eq!(
            (half.kind, client.kind),
            (SpanKind::Server, SpanKind::Client)
        );
        assert_eq!(
            half.attributes.text(attr::IMPORT_ID),
            Some(client.span_id.to_string().as_str())
        );
    }
}

#[test]
fn clocks_that_differ_are_flagged_and_left() {
    let trace = one(sample!("zipkin-skew.json"));
    let expected = [
        "servicea get server",
        "  servicea post client",
        "    serviceb post server",
        "      serviceb async",
    ];
    assert_eq!(outline(&trace), expected);
    let server = &trace.spans[2];
    assert_eq!(odd(server), "shared id, clock skew");
    assert_eq!(
        server.attributes.int(attr::STARTS_BEFORE_PARENT_NS),
        Some(65_441_000)
    );
    assert_eq!(server.start.0, 1_470_150_004_008_761_000);
}

#[test]
fn a_deep_zipkin_trace_has_one_tree() {
    let imported = import(&[sample!("zipkin-yelp.json")]);
    let trace = &imported.traces[0];
    assert_eq!(trace.orphans().count(), 0);
    assert_eq!(imported.odd[&Odd::SharedId], 3);
    let mobile: Vec<&Span> = trace
        .spans
        .iter()
        .filter(|s| s.resource.service == "mobile_api")
        .collect();
    let server = mobile
        .iter()
        .find(|s| s.kind == SpanKind::Server)
        .expect("a server");
    let calls = mobile.iter().filter(|s| s.kind == SpanKind::Client);
    assert!(
        calls.clone().count() == 4 && calls.clone().all(|s| s.parent_id() == Some(server.span_id))
    );
}

#[test]
fn orphans_are_kept_after_the_tree() {
    let trace = one(sample!("zipkin-messaging2.json"));
    assert_eq!(trace.spans[0].resource.service, "mobile-gateway");
    assert_eq!(trace.incomplete, [Incomplete::Orphan]);
    let orphans: Vec<&str> = trace.orphans().map(odd).collect();
    assert_eq!(orphans, vec!["parent not found"; 6]);
}

const ODD: &str = r#"[{"traceID": "t", "processes": {"p": {"serviceName": "s"}}, "spans": [
    {"spanID": "r", "operationName": "root", "startTime": 10, "duration": 90, "processID": "p"},
    {"spanID": "a", "operationName": "no times", "processID": "p",
     "references": [{"refType": "CHILD_OF", "spanID": "r"}]},
    {"spanID": "b", "operationName": "follows", "startTime": 20, "duration": 5, "processID": "q",
     "references": [{"refType": "FOLLOWS_FROM", "spanID": "a"}],
     "tags": [{"key": "error", "type": "bool", "value": true}]},
    {"spanID": "c", "operationName": "own child", "startTime": 30, "duration": -5, "processID": "p",
     "references": [{"refType": "CHILD_OF", "spanID": "c"}]},
    {"spanID": "d", "operationName": "one", "startTime": 50, "duration": 1, "processID": "p",
     "references": [{"refType": "CHILD_OF", "spanID": "e"}]},
    {"spanID": "e", "operationName": "another", "startTime": 40, "duration": 1, "processID": "p",
     "references": [{"refType": "CHILD_OF", "spanID": "d"}, {"refType": "CHILD_OF", "traceID": "u", "spanID": "x"}]},
    {"spanID": "r2", "operationName": "second", "startTime": 60, "duration": 1, "processID": "p"}
]}]"#;

#[test]
fn all_that_is_odd_is_named() {
    let Imported {
        traces,
        odd: counts,
    } = import(&[ODD.as_bytes()]);
    let spans = &traces[0].spans;
    let told: Vec<(&str, &str)> = spans.iter().map(|s| (s.name.as_str(), odd(s))).collect();
    let expected = [
        ("root", ""),
        ("no times", "no start, no duration"),
        ("follows", "process not described"),
        ("second", "second root"),
        ("own child", "no duration, its own ancestor"),
        ("another", "its own ancestor"),
        ("one", ""),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        traces[0].incomplete,
        [Incomplete::Orphan, Incomplete::NoTime]
    );
    assert_eq!(counts[&Odd::Circle], 2);
    assert_eq!(spans[1].start.0, 10_000, "where its parent starts");
    assert_eq!(spans[2].status, Status::Error("".into()));
    let follows = spans[2].parent.as_ref().map(|link| &link.evidence);
    assert_eq!(follows, Some(&Evidence::Follows("000000000000000a".into())));
    assert_eq!(
        spans[5].attributes.text(attr::IMPORT_LINKS),
        Some("child_of u/x")
    );
    assert_eq!(spans[0].attributes.text(attr::IMPORT_ID), Some("r"));
}

#[test]
fn a_trace_may_be_spread_over_files() {
    let all: serde_json::Value = serde_json::from_slice(sample!("zipkin-yelp.json")).expect("JSON");
    let (one, two) = all.as_array().expect("a list").split_at(5);
    let files = [one, two].map(|part| serde_json::to_vec(part).expect("JSON"));
    let whole = import(&[sample!("zipkin-yelp.json")]);
    assert_eq!(import(&[&files[0], &files[1]]), whole);
    assert_eq!(
        import(&[&files.join(&b'\n')]),
        whole,
        "values one after the other in a file"
    );
}
