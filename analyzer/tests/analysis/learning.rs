//! A judge that learns as it goes.

use tierscope_analyzer::{Baseline, Judge, Kind, Tally, Verdict};

use crate::shop::{ENDPOINT, MS, Request};

fn learning() -> Judge {
    Judge::new(Baseline::new()).learning()
}

/// The `n`-th request, three in a second.
fn request(n: u64, change: impl Fn(&mut Request)) -> Request {
    let mut request = Request::normal(n);
    request.at = n * 333 * MS;
    change(&mut request);
    request
}

#[test]
fn a_request_is_tested_before_it_is_learned_and_not_before_two_hundred_were() {
    let mut judge = learning();
    for n in 0..200 {
        let verdict = judge.judge(&request(n, |_| {}).trace());
        assert_eq!(verdict, Verdict::TooSmall, "{n}");
    }
    assert_eq!(judge.judge(&request(200, |_| {}).trace()), Verdict::Normal);
    for n in 201..210 {
        let slow = request(n, |one| one.lock = 100 * MS);
        assert!(
            matches!(judge.judge(&slow.trace()), Verdict::Flagged(_)),
            "{n}"
        );
    }
    assert_eq!(
        judge.baseline().count(ENDPOINT),
        201,
        "no slow one is in it"
    );
}

#[test]
fn what_lasts_is_told_once_and_is_normal_then() {
    let mut judge = learning();
    let mut tally = Tally::default();
    let (before, after) = (500, 1_500);
    let mut flagged = Vec::new();
    for n in 0..after {
        let slower = request(n, |one| one.cpu += if n < before { 0 } else { 80 * MS });
        let verdict = judge.judge(&slower.trace());
        if matches!(verdict, Verdict::Flagged(_)) {
            flagged.push(n);
        }
        tally.add(ENDPOINT, verdict);
    }
    let found = judge.conclude(tally);
    assert_eq!(flagged.first(), Some(&before));
    let last = flagged.last().expect("some");
    assert!((before + 180..before + 500).contains(last), "{last}");
    let [shift] = found.changes.as_slice() else {
        panic!("{:?}", found.changes);
    };
    assert_eq!(
        (shift.kind, shift.endpoints.as_slice()),
        (Kind::AppCpu, &[ENDPOINT.to_owned()][..])
    );
}

#[test]
fn what_passes_does_not_become_normal() {
    let mut judge = learning();
    let mut tally = Tally::default();
    for n in 0..1_500 {
        let slow = (500..560).contains(&n);
        let one = request(n, |one| one.cpu += if slow { 80 * MS } else { 0 });
        tally.add(ENDPOINT, judge.judge(&one.trace()));
    }
    let found = judge.conclude(tally);
    assert_eq!((found.flagged, found.changes.len()), (60, 0));
}
