//! `tierscope analyze --follow`: a recording that is being written.

use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::{Ended, Lab, Recording, Scratch, TIERSCOPE, json, may_trace, tierscope};

fn follow(file: &str, options: &[&str]) -> Child {
    Command::new(TIERSCOPE)
        .args(["analyze", "--follow", file])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started")
}

fn end(child: Child) -> Ended {
    Ended::from(child.wait_with_output().expect("ended"))
}

#[test]
fn what_is_slow_is_said_while_it_is_recorded() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &["--faults"]);
    let file = scratch.path("live.tsrec");
    let recording = Recording::start(&lab, file.clone(), &[]);
    let kept = scratch.path("normal.json");
    let following = follow(&file, &["--save-baseline", &kept]);
    for at in 0..260 {
        lab.get(format!("/api/users/{}", 1 + at % 50).as_bytes(), &[]);
    }
    lab.get(b"/api/users/3", &[b"X-Lab-Fault: db_ms=400"]);
    recording.stop();
    let said = end(following).with(0);
    assert_eq!(said.err, "");
    let (live, summary) = said.out.split_once(" requests judged").expect("a summary");
    assert!(
        live.contains("slow query · GET /api/users/{id}: "),
        "{live}"
    );
    assert!(
        summary.contains("baseline too small, 200 requests"),
        "{summary}"
    );
    let again = ["analyze", &file, "--baseline", &kept, "--json"];
    let found = json(&tierscope(&again).with(0).out);
    let requests = found["requests"].as_array().expect("requests");
    let slow = |one: &&serde_json::Value| one["findings"][0]["kind"] == "slow_query";
    assert_eq!(requests.iter().filter(slow).count(), 1, "{found:#}");
}

#[test]
fn the_end_of_a_recorder_that_was_killed_is_the_end() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let file = scratch.path("killed.tsrec");
    let recording = Recording::start(&lab, file.clone(), &[]);
    let following = follow(&file, &["--json"]);
    (0..20).for_each(|_| drop(lab.get(b"/api/users/1", &[])));
    recording.signal(Signal::SIGKILL);
    recording.end();
    let said = end(following).with(0);
    assert!(
        said.err.contains("was not finished by its recorder"),
        "{}",
        said.err
    );
    assert_eq!(json(&said.out)["flagged"], 0);
}
