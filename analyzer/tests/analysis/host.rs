//! What the host does to several requests at once is one change.

use tierscope_analyzer::{Findings, Kind, Others, Tally};

use crate::shop::{ENDPOINT, MS, Request, judge};

fn found(requests: &[Request]) -> Findings {
    let mut others = Others::default();
    for request in requests {
        others.note(&request.trace());
    }
    let mut judge = judge(500).knowing(others);
    let mut tally = Tally::default();
    for request in requests {
        tally.add(ENDPOINT, judge.judge(&request.trace()));
    }
    judge.conclude(tally)
}

fn request(at: u64, change: impl Fn(&mut Request)) -> Request {
    let mut request = Request::normal(500 + at / MS);
    request.at = at;
    change(&mut request);
    request
}

#[test]
fn requests_that_wait_for_a_cpu_together_are_one_change() {
    let waits = |at: u64| request(at * MS, |one| one.runnable = 60 * MS);
    let found = found(&[waits(1_000), waits(1_005), waits(1_010), waits(9_000)]);
    assert_eq!(
        (found.judged, found.flagged),
        (4, 1),
        "the last waited alone"
    );
    assert_eq!(found.requests[0].start.0, 9_000 * MS);
    assert_eq!(
        found.groups.iter().map(|group| group.requests).sum::<u64>(),
        1
    );
    let [change] = found.changes.as_slice() else {
        panic!("{:?}", found.changes);
    };
    assert_eq!((change.kind, change.requests), (Kind::RunQueue, 3));
    assert_eq!(found.together.len(), 3);
    let cost: u64 = found.together.iter().map(|f| f.findings[0].cost_ns).sum();
    assert_eq!(change.cost_ns, cost);
}

#[test]
fn what_is_the_requests_own_stays_its_own() {
    let waits = |at: u64| request(at * MS, |one| one.runnable = 60 * MS);
    let locked = request(1_002 * MS, |one| one.lock = 90 * MS);
    let both = request(1_003 * MS, |one| {
        one.runnable = 60 * MS;
        one.lock = 90 * MS;
    });
    let found = found(&[waits(1_000), locked, both, waits(1_005), waits(1_010)]);
    let kinds: Vec<Kind> = found.requests.iter().map(|f| f.findings[0].kind).collect();
    assert_eq!((found.flagged, kinds), (2, vec![Kind::LockWait; 2]));
    assert_eq!(found.together.len(), 3);
}

#[test]
fn who_waits_behind_those_that_wait_for_a_disk_waits_for_it_too() {
    let disk = |at: u64| request(at * MS, |one| one.disk = 90 * MS);
    let log = request(1_002 * MS, |one| one.log = 70 * MS);
    let pool = request(1_004 * MS, |one| one.pool = 80 * MS);
    let elsewhere = request(5_000 * MS, |one| one.pool = 80 * MS);
    let found = found(&[disk(1_000), log, disk(1_003), pool, elsewhere]);
    assert_eq!((found.flagged, found.together.len()), (1, 4), "{found:#?}");
    assert_eq!(found.requests[0].findings[0].kind, Kind::PoolWait);
    assert_eq!(found.changes[0].kind, Kind::DiskWait);
}

#[test]
fn one_that_flushes_the_log_and_those_that_wait_for_it_are_several() {
    let disk = request(1_000 * MS, |one| one.disk = 90 * MS);
    let log = |at: u64| request(at * MS, |one| one.log = 70 * MS);
    let found = found(&[disk, log(1_002), log(1_003)]);
    assert_eq!((found.flagged, found.together.len()), (0, 3), "{found:#?}");
}
