//! What must hold of every input.

use proptest::prelude::*;
use tierscope_assembler::{Assembled, Options, check, segments};
use tierscope_model::{Evidence, RequestId, Span, SpanKind, Trace, attr};

use crate::common::{assemble, shuffled, trace};
use crate::sim::{Outcome, Plan, run};

fn plan(loss: impl Strategy<Value = u64>) -> impl Strategy<Value = Plan> {
    let seq = prop_oneof![Just(1), (0..3_000u32).prop_map(|below| u32::MAX - below)];
    let capture = prop_oneof![3 => Just(usize::MAX), 1 => Just(200usize)];
    (
        any::<u64>(),
        1..4usize,
        1..6usize,
        1..4u64,
        capture,
        seq,
        any::<bool>(),
        loss,
    )
        .prop_map(
            |(seed, lanes, requests, pipeline, capture, seq, disorder, loss)| Plan {
                seed,
                lanes,
                requests,
                pipeline,
                capture,
                seq,
                disorder,
                loss,
            },
        )
}

/// Every byte range that a span names.
fn ranges(span: &Span) -> impl Iterator<Item = &str> {
    let evidence = span.parent.as_ref().and_then(|link| match &link.evidence {
        Evidence::Seq(range) => Some(range.as_str()),
        _ => None,
    });
    let own = [attr::REQUEST_RANGE, attr::RESPONSE_RANGE];
    own.into_iter()
        .filter_map(|key| span.attributes.text(key))
        .chain(evidence)
}

/// No byte of a trace is another request's, and no exchange holds two requests'.
fn stands_right(trace: &Trace, outcome: &Outcome) {
    let mut owners: Vec<u128> = trace
        .spans
        .iter()
        .flat_map(ranges)
        .map(|range| outcome.owner(range))
        .collect();
    owners.extend(trace.request_id.map(|id| id.0));
    owners.dedup();
    assert!(owners.len() <= 1, "{owners:?} in one trace: {trace:#?}");
}

fn exchanges(trace: &Trace) -> usize {
    let joined =
        |span: &&Span| span.parent.is_some() && span.attributes.get(attr::DB_EXCHANGE).is_some();
    trace
        .spans
        .iter()
        .filter(joined)
        .filter(|span| span.attributes.get(attr::REQUEST_RANGE).is_some())
        .count()
}

fn holds_together(trace: &Trace) {
    assert_eq!(check(trace), [], "{trace:#?}");
    let root = trace.root().expect("a trace has a root");
    let mut at = root.start;
    for segment in segments(trace) {
        assert_eq!(segment.start, at, "segments tile the root");
        at = segment.end;
    }
    assert!(
        root.start == root.end || at == root.end,
        "segments reach the root's end"
    );
    for span in &trace.spans {
        let part = span.attributes.text(attr::PART);
        let told = part != Some("transfer") || span.attributes.get(attr::NOT_MEASURED).is_some();
        assert!(told, "what was not measured is said: {span:#?}");
    }
}

/// The ways of every hop are measured in full, and each part begins where the one before ends.
fn ways_are_whole(trace: &Trace) {
    let ways = ["send", "wire", "receive queue"];
    for client in trace.spans.iter().filter(|s| s.kind == SpanKind::Client) {
        for direction in ["request", "response"] {
            let of = |s: &&Span| {
                s.parent_id() == Some(client.span_id)
                    && s.attributes.text(attr::DIRECTION) == Some(direction)
            };
            let parts: Vec<&Span> = trace.spans.iter().filter(of).collect();
            let names: Vec<&str> = parts.iter().map(|s| s.name.as_str()).collect();
            // The probed query is a client's span, too, without bytes of its own.
            assert!(names.is_empty() || names == ways, "{names:?}");
            assert!(parts.is_sorted_by(|a, b| a.end == b.start));
        }
    }
}

proptest! {
    #[test]
    fn every_request_is_assembled_whole(plan in plan(Just(0))) {
        let outcome = run(&plan);
        let (assembled, counts) = assemble(&[], outcome.events.clone(), Options::default());
        prop_assert_eq!(assembled.len(), outcome.requests);
        prop_assert_eq!((counts.orphan_spans, counts.unasked, counts.negative_durations, counts.conservation_violations), (0, 0, 0, 0));
        for trace in assembled.iter().map(trace) {
            stands_right(trace, &outcome);
            holds_together(trace);
            ways_are_whole(trace);
            prop_assert!(trace.incomplete.is_empty(), "{:?}", trace.incomplete);
            let id = trace.request_id.expect("every request has its id").0 as usize;
            prop_assert_eq!(exchanges(trace), outcome.queries[id - 1]);
        }
    }

    #[test]
    fn lost_events_join_nothing_wrong(plan in plan(prop_oneof![Just(10u64), Just(30), Just(100)])) {
        let outcome = run(&plan);
        let (assembled, _) = assemble(&[], outcome.events.clone(), Options::default());
        for assembled in &assembled {
            let trace = trace(assembled);
            stands_right(trace, &outcome);
            holds_together(trace);
            if let (Assembled::Request(_), true, Some(RequestId(id))) = (assembled, trace.incomplete.is_empty(), trace.request_id) {
                prop_assert_eq!(exchanges(trace), outcome.queries[id as usize - 1], "nothing is missing where nothing is said to be");
            }
        }
    }

    #[test]
    fn the_order_of_delivery_does_not_matter(plan in plan(prop_oneof![Just(0u64), Just(30)]), seed: u64) {
        let outcome = run(&plan);
        let (straight, _) = assemble(&[], outcome.events.clone(), Options::default());
        let (dealt, _) = assemble(&[], shuffled(&outcome.events, seed), Options::default());
        prop_assert!(straight == dealt);
    }
}
