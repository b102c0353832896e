//! Baselines are files that merge.

use tierscope_analyzer::{Baseline, BaselineError, Judge, Verdict};

use crate::shop::{ENDPOINT, MS, Request};

fn learned(requests: impl IntoIterator<Item = u64>) -> Baseline {
    let mut baseline = Baseline::new();
    for n in requests {
        baseline.learn(&Request::normal(n).trace());
    }
    baseline
}

fn json(baseline: &Baseline) -> String {
    serde_json::to_string(baseline).expect("written")
}

fn read(text: &str) -> Baseline {
    let baseline: Baseline = serde_json::from_str(text).expect("read");
    baseline.checked().expect("sound")
}

#[test]
fn a_file_says_the_same_as_what_it_was_made_from() {
    let baseline = learned(0..300);
    let text = json(&baseline);
    assert_eq!(json(&read(&text)), text);
    let mut slow = Request::normal(1_000);
    slow.lock = 50 * MS;
    let mut trace = slow.trace();
    let (a, b) = (
        Judge::new(baseline).judge(&trace),
        Judge::new(read(&text)).judge(&trace),
    );
    assert_eq!(a, b);
    assert!(matches!(a, Verdict::Flagged(_)));
    trace.endpoint = "GET /other".to_owned();
    assert_eq!(Judge::new(read(&text)).judge(&trace), Verdict::TooSmall);
}

#[test]
fn a_merged_baseline_judges_as_one_of_all() {
    let mut slow = Request::normal(1_000);
    slow.queries[0].1 += 30 * MS;
    let whole = Judge::new(learned(0..400)).judge(&slow.trace());
    let mut merged = Baseline::new();
    merged.merge(&learned((0..400).filter(|n| n % 2 == 0)));
    merged.merge(&learned((0..400).filter(|n| n % 2 == 1)));
    assert_eq!(merged.count(ENDPOINT), 400);
    assert_eq!(Judge::new(merged).judge(&slow.trace()), whole);
}

#[test]
fn it_does_not_grow_with_its_traces_and_holds_none() {
    let (small, large) = (json(&learned(0..4_000)), json(&learned(0..40_000)));
    assert!(
        large.len() < small.len() * 3 / 2,
        "{} {}",
        small.len(),
        large.len()
    );
    let id = Request::normal(7).trace().trace_id.to_string();
    assert!(!small.contains(&id));
}

#[test]
fn a_damaged_or_foreign_file_is_an_error() {
    let text = json(&learned(0..3));
    let other = text.replacen("\"version\":1", "\"version\":9", 1);
    let other: Baseline = serde_json::from_str(&other).expect("JSON");
    assert_eq!(other.checked().err(), Some(BaselineError::Version(9)));
    let damaged = text.replacen(
        "\"places\":[",
        "\"places\":[{\"parent\":99,\"name\":0,\"detail\":0},",
        1,
    );
    let damaged: Baseline = serde_json::from_str(&damaged).expect("JSON");
    assert_eq!(damaged.checked().err(), Some(BaselineError::Damaged));
}
