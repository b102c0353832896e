//! Comparisons: the rows sum to the difference, and say what differs.

use std::sync::Arc;

use proptest::prelude::*;
use tierscope_analyzer::{Comparison, Row, Tag, Usual, compare};
use tierscope_interchange::Importer;
use tierscope_model::{
    Attributes, Evidence, Link, Resource, Span, SpanId, SpanKind, Status, Timestamp, Trace,
    TraceId, attr,
};

/// Parent, name, start and end in microseconds.
type Made<'n> = (Option<usize>, &'n str, u64, u64);

fn trace(spans: &[Made<'_>]) -> Trace {
    let service = Arc::new(Resource {
        service: "app".into(),
        ..Resource::default()
    });
    let span = |(at, (parent, name, start, end)): (usize, &Made<'_>)| Span {
        span_id: SpanId(at as u64 + 1),
        parent: parent.map(|parent| Link {
            span_id: SpanId(parent as u64 + 1),
            evidence: Evidence::Probe("x".into()),
        }),
        name: (*name).into(),
        kind: SpanKind::Internal,
        start: Timestamp(start * 1_000),
        end: Timestamp(end * 1_000),
        status: Status::Unset,
        resource: service.clone(),
        attributes: Attributes::new(),
        events: Vec::new(),
        slices: Vec::new(),
    };
    Trace {
        trace_id: TraceId(1),
        request_id: None,
        endpoint: "GET /".to_owned(),
        incomplete: Vec::new(),
        spans: spans.iter().enumerate().map(span).collect(),
    }
}

/// Name, counts, difference in microseconds, tag, noise.
fn told(comparison: &Comparison<'_>) -> Vec<(String, u64, u64, i64, Tag, bool)> {
    let rows = comparison.all().into_iter();
    let one = |row: &Row<'_>| {
        let [a, b] = [&row.a, &row.b].map(|cell| cell.as_ref().map_or(0, |cell| cell.count));
        (
            row.name.clone(),
            a,
            b,
            row.delta_ns / 1_000,
            row.tag,
            row.noise,
        )
    };
    rows.map(one).collect()
}

fn sum(comparison: &Comparison<'_>) -> i64 {
    comparison.all().iter().map(|row| row.delta_ns).sum()
}

fn normal() -> Vec<Made<'static>> {
    vec![
        (None, "request", 0, 1_000),
        (Some(0), "cache", 0, 100),
        (Some(0), "query", 100, 400),
        (Some(0), "render", 500, 900),
    ]
}

#[test]
fn rows_say_what_became_of_each_path() {
    let a = trace(&normal());
    let b = trace(&[
        (None, "request", 0, 2_000),
        (Some(0), "query", 100, 400),
        (Some(0), "query", 400, 700),
        (Some(0), "query", 700, 1_000),
        (Some(0), "file", 1_000, 1_100),
        (Some(0), "render", 1_100, 1_900),
    ]);
    let comparison = compare(&a, &b, None);
    let expected = [
        ("request", 1, 1, 0, Tag::Same, true),
        ("cache", 1, 0, -100, Tag::Removed, false),
        ("query", 1, 3, 600, Tag::MoreCalls, false),
        ("file", 0, 1, 100, Tag::Added, false),
        ("render", 1, 1, 400, Tag::Slower, false),
    ];
    let expected =
        expected.map(|(name, a, b, delta, tag, noise)| (name.to_owned(), a, b, delta, tag, noise));
    assert_eq!(told(&comparison), expected);
    assert_eq!(
        (comparison.delta_ns, sum(&comparison)),
        (1_000_000, 1_000_000)
    );
}

#[test]
fn a_difference_between_two_usual_times_is_noise() {
    let with_query = |micros: u64| {
        let mut spans = normal();
        spans[2].3 = 100 + micros;
        trace(&spans)
    };
    let mut usual = Usual::default();
    for micros in 100..400 {
        usual.learn(&with_query(micros));
    }
    let (a, b, slow) = (with_query(150), with_query(350), with_query(390));
    let query = |a: &Trace, b: &Trace, usual: Option<&Usual>| {
        let comparison = compare(a, b, usual);
        let row = comparison.all()[2];
        (
            row.name.clone(),
            row.noise,
            row.normal.map(|n| (n.from_ns / 10_000, n.to_ns / 10_000)),
        )
    };
    assert_eq!(query(&a, &b, None), ("query".to_owned(), false, None));
    let (name, noise, range) = query(&a, &b, Some(&usual));
    let (from, to) = range.expect("300 requests are enough");
    assert!(
        name == "query" && noise && from.abs_diff(13) < 2 && to.abs_diff(37) < 2,
        "{range:?}"
    );
    assert!(!query(&a, &slow, Some(&usual)).1, "beyond what is usual");
}

#[test]
fn the_same_query_in_other_words_is_one_row() {
    let with = |text: &'static str| {
        let mut trace = trace(&normal());
        trace.spans[2].attributes.set(attr::DB_QUERY_TEXT, text);
        trace
    };
    let (a, b) = (with("SELECT 1"), with("SELECT 1 AS one"));
    let comparison = compare(&a, &b, None);
    assert!(
        comparison.all().iter().all(|row| row.tag == Tag::Same),
        "{:?}",
        told(&comparison)
    );
}

fn hotel() -> Vec<Trace> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hotel.json");
    let mut importer = Importer::default();
    importer
        .add(&std::fs::read(path).expect(path))
        .expect("it is read");
    importer.finish().traces
}

#[test]
fn real_traces_of_one_endpoint_have_the_same_rows() {
    let traces = hotel();
    let mut usual = Usual::default();
    traces.iter().for_each(|trace| usual.learn(trace));
    assert_eq!(usual.requests(), 120);
    for (a, b) in traces.iter().zip(&traces[1..]) {
        let comparison = compare(a, b, Some(&usual));
        assert_eq!(sum(&comparison), b.duration() as i64 - a.duration() as i64);
        assert!(comparison.skew_allowed);
        assert_eq!(comparison.all().len(), 11);
        let structure = [Tag::Added, Tag::Removed, Tag::MoreCalls, Tag::FewerCalls];
        assert!(
            !comparison
                .all()
                .iter()
                .any(|row| structure.contains(&row.tag))
        );
    }
}

fn any_trace() -> impl Strategy<Value = Trace> {
    let span = (
        any::<prop::sample::Index>(),
        0..4usize,
        0..300u64,
        0..300u64,
    );
    prop::collection::vec(span, 1..40).prop_map(|spans| {
        let names = ["a", "b", "c", "d"];
        let made: Vec<Made<'_>> = spans
            .iter()
            .enumerate()
            .map(|(at, (parent, name, start, length))| {
                let parent = (at > 0).then(|| parent.index(at.max(1)));
                (parent, names[*name], *start, start + length)
            })
            .collect();
        trace(&made)
    })
}

proptest! {
    #[test]
    fn rows_sum_to_the_difference_and_hold_every_span(a in any_trace(), b in any_trace()) {
        let comparison = compare(&a, &b, None);
        prop_assert_eq!(sum(&comparison), b.duration() as i64 - a.duration() as i64);
        let count = |of: fn(&Row<'_>) -> u64| comparison.all().into_iter().map(of).sum::<u64>();
        prop_assert_eq!(count(|row| row.a.as_ref().map_or(0, |c| c.count)), a.spans.len() as u64);
        prop_assert_eq!(count(|row| row.b.as_ref().map_or(0, |c| c.count)), b.spans.len() as u64);
    }

    #[test]
    fn a_trace_does_not_differ_from_itself(a in any_trace()) {
        let comparison = compare(&a, &a, None);
        for row in comparison.all() {
            prop_assert!(row.tag == Tag::Same && row.delta_ns == 0 && row.noise);
        }
    }
}
