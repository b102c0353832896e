//! Traces side by side, through the verb: those of another tool, so that no lab is needed.

use std::fs;

use crate::support::{Scratch, json, tierscope};

const HOTEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../analyzer/tests/data/hotel.json"
);

/// 120 imported traces of one endpoint.
fn hotel(scratch: &Scratch) -> String {
    let out = scratch.path("hotel.jsonl");
    tierscope(&["import", HOTEL, "--out", &out]).with(0);
    out
}

#[test]
fn a_trace_is_compared_with_the_median_one_of_its_run() {
    let scratch = Scratch::new();
    let run = hotel(&scratch);
    let shown = json(
        &tierscope(&["show", &run, "--slowest", "--json"])
            .with(0)
            .out,
    );
    let id = shown["trace_id"].as_str().expect("an id").to_owned();
    let text = tierscope(&["compare", &id, "--run", &run]).with(0).out;
    assert!(
        text.contains("A: median of 120 in") && text.contains(&format!("B: trace {id}")),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with("total ") && line.contains("100 %")),
        "{text}"
    );
    let all = json(
        &tierscope(&["compare", &id, "--run", &run, "--json"])
            .with(0)
            .out,
    );
    let total = all["comparison"]["delta_ns"].as_i64().expect("a number");
    let durations =
        [&all["a"], &all["b"]].map(|side| side["duration_ns"].as_i64().expect("a number"));
    assert_eq!(
        sum(&all["comparison"]["rows"]),
        total,
        "the total row is the sum"
    );
    assert_eq!(total, durations[1] - durations[0]);
    let svg = scratch.path("compared.svg");
    tierscope(&["compare", &format!("{run}:{id}"), "--svg", &svg]).with(0);
    let picture = fs::read_to_string(svg).expect("a picture");
    roxmltree::Document::parse(&picture).expect("well-formed");
}

fn sum(rows: &serde_json::Value) -> i64 {
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| row["delta_ns"].as_i64().expect("a number") + sum(&row["children"]))
        .sum()
}

#[test]
fn two_runs_are_compared_by_their_medians() {
    let scratch = Scratch::new();
    let run = hotel(&scratch);
    let ended = tierscope(&["compare", &run, &run]).with(0);
    assert!(
        ended.err.contains("HTTP GET /hotels: median"),
        "{}",
        ended.err
    );
    assert!(
        ended.out.contains("Both took about as long"),
        "{}",
        ended.out
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let scratch = Scratch::new();
    let run = hotel(&scratch);
    let said = |arguments: &[&str]| tierscope(&[&["compare"], arguments].concat()).with(1).err;
    assert!(said(&[&run]).contains("a run alone has nothing to be compared with"));
    assert!(said(&["no-such-run"]).contains("neither a run nor the beginning of an id"));
    assert!(said(&["ffff", "--run", &run]).contains("none of 120 traces matches"));
    assert!(said(&[&run, &run, "--endpoint", "GET /x"]).contains("no whole trace of GET /x"));
}
