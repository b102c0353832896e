//! The score tells a sound trace from one that lacks something or belongs to another request.
//!
//! `data/users.json` is one request of a lab run: what the load generator saw of it, and its trace.

use serde::Deserialize;
use tierscope_assembler::Counts;
use tierscope_experiments::{Score, Scorer, Truth};
use tierscope_loadgen::{ErrorKind, Record};
use tierscope_model::{Incomplete, SpanKind, Trace, attr};

#[derive(Deserialize)]
struct Request {
    record: Record,
    trace: Trace,
}

fn request() -> Request {
    serde_json::from_str(include_str!("data/users.json")).expect("a request")
}

fn score(record: Record, trace: Option<&Trace>) -> Score {
    let client = [record];
    let mut scorer = Scorer::new(&client);
    if let Some(trace) = trace {
        scorer.trace(trace, &Truth::default());
    }
    scorer.finish(&Counts::default())
}

/// The reason why the request with a changed trace is not complete.
fn reason(change: impl FnOnce(&mut Trace)) -> String {
    let mut request = request();
    change(&mut request.trace);
    only_reason(&score(request.record, Some(&request.trace)))
}

fn only_reason(score: &Score) -> String {
    assert_eq!((score.requests, score.complete), (1, 0));
    let reasons: Vec<_> = score.incomplete_by_reason.keys().collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons[0].clone()
}

#[test]
fn a_whole_trace_is_complete() {
    let Request { record, trace } = request();
    let score = score(record, Some(&trace));
    assert_eq!((score.requests, score.complete), (1, 1));
    assert_eq!(score.edges["request"].correct, 1);
    assert_eq!(score.edges["query"].unverified, 1, "no bound id was noted");
    assert_eq!(score.mis_stitched, 0);
    assert_eq!(score.http_parse_success, 1.0);
    let off = score.client_vs_trace_us.max;
    assert!(off > 0.0 && off < 100.0, "{off} µs");
}

#[test]
fn what_is_missing_is_named() {
    let without = |name: &'static str| reason(|trace| trace.spans.retain(|span| span.name != name));
    assert_eq!(without("db query"), "0 of 1 queries");
    assert_eq!(
        without("receive queue"),
        "hop loadgen → nginx missing or not whole"
    );
    let server = |service: &'static str| {
        reason(|trace| {
            let gone = |kind, of: &str| kind == SpanKind::Server && of == service;
            trace
                .spans
                .retain(|span| !gone(span.kind, &span.resource.service));
        })
    };
    assert_eq!(server("app"), "hop nginx → app missing or not whole");
    assert_eq!(
        server("postgres"),
        "hop app → postgres missing or not whole"
    );
    let marked = reason(|trace| trace.incomplete = vec![Incomplete::EventLoss]);
    assert_eq!(marked, "marked EventLoss");
}

#[test]
fn what_has_no_trace_counts_as_incomplete() {
    let Request { record, trace } = request();
    let lost = score(record.clone(), None);
    assert_eq!(only_reason(&lost), "no trace");
    assert_eq!(lost.http_parse_success, 0.0);
    let unnamed = Record {
        id: None,
        ..record.clone()
    };
    let reason = only_reason(&score(unnamed, Some(&trace)));
    assert_eq!(reason, "the answer carried no id");
    let late = Record {
        status: None,
        error: Some(ErrorKind::Timeout),
        ..record
    };
    let reason = only_reason(&score(late, Some(&trace)));
    assert_eq!(reason, "client error: timeout");
}

#[test]
fn a_trace_of_another_request_is_mis_stitched() {
    let wrong = |change: &dyn Fn(&mut Record, &mut Trace)| {
        let mut request = request();
        change(&mut request.record, &mut request.trace);
        score(request.record, Some(&request.trace)).mis_stitched
    };
    assert_eq!(wrong(&|record, _| record.path = "/api/report/1".into()), 1);
    assert_eq!(wrong(&|record, _| record.method = "POST".into()), 1);
    assert_eq!(wrong(&|record, _| record.local_port = Some(1)), 1);
    let handler = |_: &mut Record, trace: &mut Trace| {
        let handler = trace.spans.iter_mut().find(|span| span.name == "handler");
        let attributes = &mut handler.expect("a handler").attributes;
        attributes.set(attr::URL_PATH, "/api/users/1");
    };
    assert_eq!(wrong(&handler), 1, "the handler of another request");
}
