//! Each fault alone is found, named first, and priced.

use std::sync::LazyLock;

use proptest::prelude::*;
use tierscope_analyzer::{Baseline, Flagged, Judge, Kind, Others, Verdict, segments};
use tierscope_model::Doing;

use crate::shop::{ENDPOINT, MS, ORDER, Request, USER, flagged, judge};

fn with(change: impl Fn(&mut Request)) -> Flagged {
    let mut request = Request::normal(1_000);
    change(&mut request);
    flagged(&request)
}

/// The first finding is of this kind, its sentence says all of `words`, and it costs about `cost`.
fn says(flagged: &Flagged, kind: Kind, cost: u64, words: &[&str]) {
    let first = &flagged.findings[0];
    assert_eq!(first.kind, kind, "{flagged:#?}");
    for word in words {
        assert!(first.sentence.contains(word), "{word}: {}", first.sentence);
    }
    assert!(
        first.cost_ns.abs_diff(cost) < MS,
        "{} for {cost}",
        first.cost_ns
    );
    assert!(!first.threshold.is_empty());
    let sum: i64 = flagged.deltas.iter().map(|delta| delta.delta_ns).sum();
    assert_eq!(sum, flagged.excess_ns);
    let whole = flagged.duration_ns as i64 - flagged.baseline_ns as i64;
    assert_eq!(flagged.excess_ns, whole);
}

#[test]
fn a_slow_query() {
    let found = with(|r| r.queries[1].1 += 200 * MS);
    let words = [
        "DB query `SELECT id, total FROM orders WHERE id = $1` took 20",
        "p50 0.",
        "over 500 calls",
        "no lock",
    ];
    says(&found, Kind::SlowQuery, 200 * MS, &words);
    assert_eq!(found.findings.len(), 1);
}

#[test]
fn a_slow_query_that_was_never_seen() {
    let found = with(|r| r.queries.push(("SELECT pg_sleep($1)", 200 * MS)));
    says(
        &found,
        Kind::SlowQuery,
        200 * MS,
        &["not seen in 500 other requests"],
    );
    assert_eq!(
        found.findings.len(),
        1,
        "its shape is explained by it: {found:#?}"
    );
}

#[test]
fn n_plus_one() {
    let found = with(|r| r.queries.extend([(ORDER, MS); 14]));
    let words = [
        "15 queries `SELECT id, total",
        ENDPOINT,
        "normally 1. N+1: 14 extra calls",
    ];
    says(&found, Kind::NPlusOne, 14 * MS, &words);
    assert_eq!(found.findings.len(), 1);
}

#[test]
fn a_pattern_of_two_statements_is_one_n_plus_one() {
    let pair = [(USER, MS), (ORDER, MS)];
    let found = with(|r| r.queries.extend(pair.repeat(10)));
    let first = &found.findings[0];
    assert_eq!(first.kind, Kind::NPlusOne);
    assert!(
        first.sentence.contains("and 1 more statement as often"),
        "{}",
        first.sentence
    );
    assert_eq!(found.findings.len(), 1);
}

#[test]
fn a_socket_buffer_wait_and_whom_the_reader_worked_for() {
    let mut request = Request::normal(1_000);
    request.queue = 45 * MS;
    let mut hog = Request::normal(1_000);
    hog.cpu = 60 * MS;
    hog.at -= 10 * MS;
    let mut others = Others::default();
    others.note(&hog.trace());
    let Verdict::Flagged(found) = judge(500).knowing(others).judge(&request.trace()) else {
        panic!("not flagged");
    };
    let words = [
        "45.0 ms in app's receive queue (nginx → app)",
        "was on a CPU",
        "worked, with GET /api/users",
    ];
    says(&found, Kind::SocketBuffer, 45 * MS, &words);
}

#[test]
fn a_pool_wait_and_what_its_connection_was_held_for() {
    let mut holder = Request::normal(1_000);
    holder.disk = 90 * MS;
    let mut waiter = Request::normal(1_001);
    (waiter.at, waiter.pool) = (holder.at + 5 * MS, 80 * MS);
    let mut others = Others::default();
    others.note(&holder.trace());
    let found = |waiter: &Request| {
        let mut judge = judge(500).knowing(others.clone());
        match judge.judge(&waiter.trace()) {
            Verdict::Flagged(found) => found,
            other => panic!("{other:?}"),
        }
    };
    let words = [
        "80.0 ms were spent waiting for a pooled database connection: GET /api/users",
        "had it for 80.0 ms (disk wait, postgres: 80.0 ms)",
    ];
    says(&found(&waiter), Kind::PoolWait, 80 * MS, &words);
    assert_eq!(found(&waiter).findings[0].root(), Kind::DiskWait);
    // Most of this one is a wait for somebody else.
    waiter.pool = 300 * MS;
    let longer = found(&waiter);
    assert!(
        longer.findings[0].sentence.contains("had it for 8"),
        "{longer:?}"
    );
    assert_eq!(longer.findings[0].root(), Kind::PoolWait);
}

#[test]
fn bytes_unread_for_want_of_a_cpu_are_a_run_queue_wait() {
    let found = with(|r| (r.queue, r.reader) = (45 * MS, Doing::Runnable));
    says(
        &found,
        Kind::RunQueue,
        45 * MS,
        &["app was runnable for 45."],
    );
}

#[test]
fn what_a_cpu_quota_kept_waiting_is_told_apart() {
    let words = ["app was runnable for 45.", "CPU quota was used up"];
    let in_queue = with(|r| (r.queue, r.reader, r.throttled) = (45 * MS, Doing::Runnable, true));
    says(&in_queue, Kind::Throttled, 45 * MS, &words);
    let handler = with(|r| (r.runnable, r.throttled) = (45 * MS, true));
    says(&handler, Kind::Throttled, 45 * MS, &words);
}

#[test]
fn an_answer_that_its_reader_lets_lie() {
    let found = with(|r| (r.unsent, r.full) = (60 * MS, true));
    let words = ["in nginx's receive queue (app → nginx)", "was asleep"];
    says(&found, Kind::SocketBuffer, 60 * MS, &words);
    assert_eq!(found.findings.len(), 1, "{found:?}");
}

#[test]
fn a_retransmit() {
    let found = with(|r| r.hole = 212 * MS);
    let words = [
        "a retransmit app → nginx held 212.0 ms",
        "1 segment, 1,448 bytes",
    ];
    says(&found, Kind::Retransmit, 212 * MS, &words);
    says(&with(|r| r.hole = 2 * MS), Kind::Retransmit, 2 * MS, &[]);
}

#[test]
fn an_answer_that_does_not_leave() {
    let found = with(|r| r.unsent = 204 * MS);
    let words = ["204.0 ms passed before bytes app → nginx left the sender"];
    says(&found, Kind::SlowNetwork, 204 * MS, &words);
}

#[test]
fn an_answer_that_its_own_host_dropped() {
    let found = with(|r| (r.unsent, r.dropped) = (204 * MS, 1));
    let words =
        ["app's own host dropped 1 packet app → nginx before it left; TCP sent it 204.0 ms later"];
    says(&found, Kind::SendFailure, 204 * MS, &words);
    assert_eq!(found.findings.len(), 1, "{found:?}");
    let twice = with(|r| (r.unsent, r.dropped) = (604 * MS, 2));
    says(&twice, Kind::SendFailure, 604 * MS, &["dropped 2 packets"]);
}

#[test]
fn waits_of_other_kinds() {
    says(
        &with(|r| r.runnable = 30 * MS),
        Kind::RunQueue,
        30 * MS,
        &["app"],
    );
    says(
        &with(|r| r.pool = 80 * MS),
        Kind::PoolWait,
        80 * MS,
        &["pooled"],
    );
    let lock = with(|r| r.lock = 150 * MS);
    says(
        &lock,
        Kind::LockWait,
        150 * MS,
        &["transactionid", "in `SELECT name FROM users"],
    );
    says(
        &with(|r| r.disk = 90 * MS),
        Kind::DiskWait,
        90 * MS,
        &["postgres waited"],
    );
    says(
        &with(|r| r.nginx = 40 * MS),
        Kind::Stall,
        40 * MS,
        &["nginx held"],
    );
    says(
        &with(|r| r.stopped = 40 * MS),
        Kind::Stall,
        40 * MS,
        &["nginx was stopped"],
    );
    says(
        &with(|r| r.cpu = 40 * MS),
        Kind::AppCpu,
        40 * MS,
        &["app was on a CPU"],
    );
    says(
        &with(|r| r.asleep = 30 * MS),
        Kind::Asleep,
        30 * MS,
        &["nothing worked"],
    );
    says(
        &with(|r| r.file = 55 * MS),
        Kind::SlowFile,
        55 * MS,
        &["`file read` took"],
    );
}

#[test]
fn a_changed_io_pattern() {
    let found = with(|r| (r.files, r.file) = (50, 100_000));
    says(
        &found,
        Kind::IoPattern,
        5 * MS,
        &["50 files for one GET", "normally 1"],
    );
}

#[test]
fn two_faults_are_both_named_each_with_its_share() {
    let found = with(|r| (r.lock, r.hole) = (60 * MS, 200 * MS));
    let kinds: Vec<Kind> = found.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Retransmit, Kind::LockWait]);
    assert!(found.findings[1].cost_ns.abs_diff(60 * MS) < MS);
}

static NORMAL: LazyLock<Baseline> = LazyLock::new(|| {
    let mut baseline = Baseline::new();
    (0..300).for_each(|n| baseline.learn(&Request::normal(n).trace()));
    baseline
});

proptest! {
    #[test]
    fn segments_and_deltas_sum_up_whatever_happens(
        times in prop::collection::vec(0..100u64, 12),
        slices in prop::collection::vec((0..20usize, 0..50_000u64, 0..50_000u64), 0..20),
    ) {
        let mut request = Request::normal(times[0]);
        (request.pool, request.lock, request.disk) = (times[1] * MS, times[2] * MS, times[3] * MS);
        (request.queue, request.hole, request.cpu) = (times[4] * MS, times[5] * MS, times[6] * MS);
        (request.runnable, request.files) = (times[7] * MS, times[8] / 10);
        let mut trace = request.trace();
        for (at, shift, stretch) in slices {
            let spans = trace.spans.len();
            let span = &mut trace.spans[at % spans];
            span.start = span.start + shift;
            span.end = span.end.max(span.start) + stretch;
        }
        let segments = segments(&trace);
        let mut at = trace.spans[0].start;
        for segment in &segments {
            prop_assert_eq!(segment.start, at);
            prop_assert!(segment.end > segment.start);
            at = segment.end;
        }
        let sum: u64 = segments.iter().map(|segment| segment.duration()).sum();
        prop_assert_eq!(sum, trace.duration());
        if let Verdict::Flagged(found) = Judge::new(NORMAL.clone()).judge(&trace) {
            let sum: i64 = found.deltas.iter().map(|delta| delta.delta_ns).sum();
            prop_assert_eq!(sum, trace.duration() as i64 - found.baseline_ns as i64);
            let mut costs = found.findings.iter().map(|finding| finding.cost_ns);
            prop_assert!(costs.all(|cost| cost <= trace.duration()));
        }
    }
}
