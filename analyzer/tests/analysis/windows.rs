//! What changes for a time is one change per cause.

use tierscope_analyzer::{Baseline, Change, Judge, Kind};

use crate::shop::{ENDPOINT, MS, Request};

const SECOND: u64 = 1_000 * MS;

/// What changed in 60 s of requests, one every 3 ms, that `change` alters by their number.
fn changes(change: impl Fn(u64, &mut Request)) -> Vec<Change> {
    let mut baseline = Baseline::new();
    (0..2_000).for_each(|n| baseline.learn(&Request::normal(n).trace()));
    let mut judge = Judge::new(baseline).with_windows(5 * SECOND);
    for n in 0..20_000 {
        let mut request = Request::normal(n);
        change(n, &mut request);
        judge.judge(&request.trace());
    }
    judge.changes()
}

/// Whether request `n` lies from 20 s to 35 s.
fn within(n: u64) -> bool {
    (20 * SECOND..35 * SECOND).contains(&(n * 3 * MS))
}

#[test]
fn nothing_changes_in_a_steady_run() {
    assert_eq!(changes(|_, _| ()), []);
}

#[test]
fn a_lock_held_for_a_time_is_one_change() {
    let found = changes(|n, request| request.lock = if within(n) { 2 * MS } else { 0 });
    let [change] = found.as_slice() else {
        panic!("{found:#?}");
    };
    assert_eq!(
        (change.kind, change.endpoints[0].as_str()),
        (Kind::LockWait, ENDPOINT)
    );
    assert_eq!((change.from_ns, change.to_ns), (20 * SECOND, 35 * SECOND));
    assert_eq!(change.windows.len(), 1);
    assert!(
        change.cost_ns.abs_diff(5_000 * 2 * MS) < 100 * MS,
        "{change:#?}"
    );
    assert!(
        change
            .sentence
            .contains("From 20 s to 35 s: more lock wait"),
        "{}",
        change.sentence
    );
    assert!(
        change.sentence.ends_with("(Cliff's δ 1.00, p < 1e-12)."),
        "how great, and how sure: {}",
        change.sentence
    );
}

#[test]
fn what_comes_twice_is_one_change_with_both_its_times() {
    let again = |n| (45 * SECOND..50 * SECOND).contains(&(n * 3 * MS));
    let found = changes(|n, request| request.lock = u64::from(within(n) || again(n)) * 2 * MS);
    let [change] = found.as_slice() else {
        panic!("{found:#?}");
    };
    assert_eq!((change.from_ns, change.to_ns), (20 * SECOND, 50 * SECOND));
    let windows = change.windows.iter();
    let windows: Vec<_> = windows
        .map(|window| (window.from_ns / SECOND, window.to_ns / SECOND))
        .collect();
    assert_eq!(windows, [(20, 35), (45, 50)]);
    assert!(
        change
            .sentence
            .starts_with("From 20 s to 35 s and from 45 s to 50 s: more lock wait"),
        "{}",
        change.sentence
    );
}

#[test]
fn two_causes_are_two_changes() {
    let found = changes(|n, request| {
        if within(n) {
            (request.lock, request.disk) = (2 * MS, 3 * MS);
        }
    });
    let kinds: Vec<Kind> = found.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [Kind::DiskWait, Kind::LockWait]);
}

#[test]
fn a_cache_that_is_emptied_is_told_though_its_requests_hardly_notice() {
    let found = changes(|n, request| {
        request.misses = u64::from(within(n) || n % 10 == 0);
        if within(n) {
            request.queries[0].1 += 20_000;
        }
    });
    let [change] = found.as_slice() else {
        panic!("{found:#?}");
    };
    assert_eq!(change.kind, Kind::CacheMisses);
    let said = &change.sentence;
    let per_request = "1.00 per request over 1,66";
    assert!(
        said.contains(per_request) && said.contains("; before 0.00 over"),
        "{said}"
    );
    let rarely = changes(|n, request| request.misses = u64::from(within(n) && n % 5 < 2));
    assert!(rarely.is_empty(), "{rarely:#?}");
}

#[test]
fn twice_the_load_is_one_change_though_everything_waits() {
    let found = changes(|n, request| {
        if n >= 10_000 {
            request.at = 30 * SECOND + (n - 10_000) * 3 * MS / 2;
            (request.runnable, request.queue, request.pool) = (3 * MS, 2 * MS, 2 * MS);
        }
    });
    let [change] = found.as_slice() else {
        panic!("{found:#?}");
    };
    assert_eq!(change.kind, Kind::LoadShift);
    assert!(
        change.sentence.contains(
            "from 333 to 667 requests/s 30 s after the first request (× 2.00, p < 1e-12)"
        ),
        "{}",
        change.sentence
    );
}
