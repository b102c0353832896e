//! What is no finding.

use tierscope_analyzer::{Baseline, Judge, Tally, Verdict};
use tierscope_model::Incomplete;

use crate::shop::{ENDPOINT, MS, ORDER, Request, judge};

#[test]
fn normal_requests_are_normal() {
    let mut judge = judge(500);
    for n in 500..3_000 {
        assert_eq!(
            judge.judge(&Request::normal(n).trace()),
            Verdict::Normal,
            "{n}"
        );
    }
}

#[test]
fn equal_calls_are_no_n_plus_one_where_they_are_normal() {
    let many = |n: u64| {
        let mut request = Request::normal(n);
        request
            .queries
            .extend(vec![(ORDER, MS); 10 + (n % 5) as usize]);
        request.trace()
    };
    let mut baseline = Baseline::new();
    (0..500).for_each(|n| baseline.learn(&many(n)));
    let mut judge = Judge::new(baseline);
    for n in 500..600 {
        assert_eq!(judge.judge(&many(n)), Verdict::Normal, "{n}");
    }
}

#[test]
fn a_small_baseline_gives_no_verdict() {
    let mut slow = Request::normal(1);
    slow.lock = 500 * MS;
    assert_eq!(judge(199).judge(&slow.trace()), Verdict::TooSmall);
    assert!(matches!(
        judge(200).judge(&slow.trace()),
        Verdict::Flagged(_)
    ));
}

#[test]
fn a_trace_that_may_lack_something_gives_no_verdict_and_is_not_learned() {
    let mut trace = Request::normal(1).trace();
    trace.incomplete.push(Incomplete::EventLoss);
    assert_eq!(judge(300).judge(&trace), Verdict::Incomplete);
    let mut baseline = Baseline::new();
    baseline.learn(&trace);
    assert_eq!(baseline.count(ENDPOINT), 0);
}

#[test]
fn a_run_judged_by_itself_finds_what_lies_apart() {
    let request = |n: u64| {
        let mut request = Request::normal(n);
        request.lock = if n.is_multiple_of(50) { 100 * MS } else { 0 };
        request.trace()
    };
    let mut baseline = Baseline::new();
    (0..1_000).for_each(|n| baseline.learn(&request(n)));
    let mut judge = Judge::of_same(baseline);
    let mut tally = Tally::default();
    for n in 0..1_000 {
        let verdict = judge.judge(&request(n));
        let is_flagged = matches!(verdict, Verdict::Flagged(_));
        assert_eq!(is_flagged, n.is_multiple_of(50), "{n}");
        tally.add(ENDPOINT, verdict);
    }
    let found = tally.finish(Vec::new());
    let groups = &found.groups;
    assert_eq!(
        (groups.len(), groups[0].requests, found.judged),
        (1, 20, 1_000)
    );
}
