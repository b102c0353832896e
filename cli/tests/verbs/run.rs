//! What `tierscope run` notices only when it runs; the whole of a run is in `end_to_end.rs`.

use std::fs;

use crate::support::{Scratch, may_trace, tierscope};

/// An experiment of a second, with these faults.
fn experiment(scratch: &Scratch, faults: &str) -> String {
    let load = "rate = 50\nduration_s = 1\nconnections = 2\nseed = 1\n";
    let text = format!("name = 'x'\ntitle = 'x'\n[load]\n{load}{faults}");
    scratch.write("x.toml", &text)
}

#[test]
fn a_baseline_that_cannot_be_read_is_told_of_before_anything_is_started() {
    let scratch = Scratch::new();
    let experiment = experiment(&scratch, "");
    let (runs, nowhere) = (scratch.path("runs"), scratch.path("nowhere.json"));
    let asked = ["run", &experiment, "--runs", &runs, "--baseline", &nowhere];
    let said = tierscope(&asked).with(1).err;
    assert!(said.contains("cannot read the baseline"), "{said}");
    assert!(fs::read_dir(runs).is_err(), "no run was begun");
}

#[test]
fn a_fault_that_the_app_does_not_know_is_no_truth() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let fault = "endpoint = 'users'\nshare = 1\nheader = 'dbms=1'\nhop = 'app → postgres'\n";
    let experiment = experiment(&scratch, &format!("[[fault]]\n{fault}"));
    let runs = scratch.path("runs");
    let said = tierscope(&["run", &experiment, "--runs", &runs])
        .with(1)
        .err;
    assert!(
        said.contains("does not understand the fault \"dbms=1\""),
        "{said}"
    );
    let run = fs::read_dir(runs)
        .expect("runs")
        .flatten()
        .next()
        .expect("a run");
    assert!(
        run.path().join("recording.tsrec").exists(),
        "what was seen is kept"
    );
    assert!(
        !run.path().join("truth.jsonl").exists(),
        "and nothing is made up"
    );
}
