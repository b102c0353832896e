//! Findings through the verb, from traces in a file.

use crate::support::{Scratch, json, tierscope, traces_of};

fn normal() -> impl Iterator<Item = u64> {
    (0..300).map(|n| 1_000_000 + n * 1_000)
}

#[test]
fn one_slow_request_among_many_is_found_by_the_run_itself_and_by_a_baseline() {
    let scratch = Scratch::new();
    let run = scratch.write("run.jsonl", &traces_of(normal().chain([100_000_000])));
    let kept = scratch.path("normal.json");
    let said = tierscope(&["analyze", &run, "--save-baseline", &kept])
        .with(0)
        .out;
    for part in [
        "301 requests judged, 1 with findings",
        "1. asleep · GET /x · 1 request, 98.8 ms in all",
        "nothing worked for the request in app for 100.0 ms",
        "threshold: over 1.",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    let by_file = tierscope(&["analyze", &run, "--baseline", &kept, "--json"])
        .with(0)
        .out;
    let found = json(&by_file);
    assert_eq!(found["flagged"], 1);
    let request = &found["requests"][0];
    assert_eq!(
        request["findings"][0]["normal"]["n"], 300,
        "the flagged one is not in it"
    );
    let deltas = request["deltas"].as_array().expect("deltas");
    let sum: i64 = deltas
        .iter()
        .filter_map(|delta| delta["delta_ns"].as_i64())
        .sum();
    assert_eq!(request["excess_ns"], sum);
}

#[test]
fn what_cannot_be_judged_is_said() {
    let scratch = Scratch::new();
    let few = scratch.write("few.jsonl", &traces_of([1_000_000; 50]));
    let said = tierscope(&["analyze", &few]).with(0).out;
    assert!(
        said.contains("GET /x: baseline too small, 50 requests not judged"),
        "{said}"
    );
    let bad = scratch.write("bad.json", "{\"version\":9");
    let said = tierscope(&["analyze", &few, "--baseline", &bad])
        .with(1)
        .err;
    assert!(
        said.contains("cannot read the baseline") && said.contains("line 1"),
        "{said}"
    );
    tierscope(&["analyze", &few, "--window", "0"]).with(1);
}

#[test]
fn a_run_that_keeps_no_traces_is_assembled_again() {
    let scratch = Scratch::new();
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../assembler/tests/data/every_endpoint.tsrec"
    );
    let run = scratch.path("run");
    std::fs::create_dir(&run).expect("a folder");
    std::fs::copy(recording, format!("{run}/recording.tsrec")).expect("copied");
    let of = |source: &str| tierscope(&["analyze", source, "--json"]).with(0).out;
    assert_eq!(of(&run), of(recording));
}
