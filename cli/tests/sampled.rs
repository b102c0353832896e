//! A sample of the requests is the same requests on every tier, each of them whole.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use support::{Lab, Recording, Scratch, assemble, may_trace, tierscope};
use tierscope_experiments::{Score, read_lines};
use tierscope_loadgen::Record;
use tierscope_model::{Body, Incomplete, RequestId, Sample, SpanKind, Trace};
use tierscope_tracer::recording::Reader;

const SHARE: &str = "0.1";
const REQUESTS: usize = 1000;
const EXPERIMENT: &str = r#"
name = "sampled"
title = "one request in ten"
sample = 0.1
expect = ["mis_stitched", "loss"]

[load]
rate = 200
duration_s = 5
connections = 16
seed = 9
"#;

/// Those of the requests that the sample holds.
fn kept(client: &Path) -> BTreeSet<RequestId> {
    let sample: Sample = SHARE.parse().expect("a share");
    let records: Vec<Record> = read_lines(client).expect("the client's records");
    assert_eq!(records.len(), REQUESTS);
    let id = |record: &Record| record.id.as_deref().expect("an id").parse();
    let ids = records.iter().map(|record| id(record).expect("an id"));
    let kept: BTreeSet<_> = ids.filter(|id| sample.keeps(*id)).collect();
    // Six standard deviations.
    assert!(kept.len().abs_diff(REQUESTS / 10) < 57, "{}", kept.len());
    kept
}

fn ids(traces: &[Trace]) -> BTreeSet<RequestId> {
    let ids = traces.iter().map(|trace| trace.request_id.expect("an id"));
    ids.collect()
}

/// What came out of the kernel, as a share of what would have without a sample.
fn delivered(recording: &Path, left_out: u64) -> f64 {
    let events = Reader::open(recording).expect("a recording").count() as f64;
    events / (events + left_out as f64)
}

/// Events that the recording says were lost, by the program that made them. The kernel keeps a thread's storage from a
/// switch that comes in the middle of another look-up: of those a few may be lost, as in the tracer's own tests.
fn lost(recording: &Path) -> BTreeMap<String, u64> {
    let events = Reader::open(recording).expect("a recording");
    let programs = events.header().programs.clone();
    let mut lost = BTreeMap::new();
    for event in events {
        if let Body::Loss(loss) = event.expect("an event").body {
            let program = programs[loss.program as usize].clone();
            *lost.entry(program).or_default() += loss.count;
        }
    }
    assert!(
        lost.iter()
            .all(|(program, count)| program == "switch" && *count <= 3),
        "lost: {lost:?}"
    );
    lost
}

/// From the client to PostgreSQL, but for what was lost: the requests of that time say so.
#[track_caller]
fn assert_whole(trace: &Trace, lost: &BTreeMap<String, u64>) {
    let mut reasons = trace.incomplete.iter();
    assert!(
        reasons.all(|reason| *reason == Incomplete::EventLoss && !lost.is_empty()),
        "{}: {:?}, lost: {lost:?}",
        trace.endpoint,
        trace.incomplete
    );
}

#[test]
fn a_sample_is_whole_requests_and_no_others() {
    if !may_trace() {
        return;
    }
    every_tier_and_the_client();
    a_client_that_is_not_traced();
}

fn every_tier_and_the_client() {
    let scratch = Scratch::new();
    let file = scratch.write("experiment.toml", EXPERIMENT);
    let runs = scratch.path("runs");
    let ended = tierscope(&["run", &file, "--json", "--runs", &runs]).with(0);
    let score: Score = serde_json::from_str(&ended.out).expect("a score");
    let folder = std::fs::read_dir(&runs).expect("runs").flatten().next();
    let folder = folder.expect("a run").path();
    let kept = kept(&folder.join("client.jsonl"));
    let traces: Vec<Trace> = read_lines(&folder.join("traces.jsonl")).expect("traces");
    assert_eq!(ids(&traces), kept);
    assert_eq!(score.requests, kept.len() as u64);
    let recording = folder.join("recording.tsrec");
    let lost = lost(&recording);
    assert_eq!(lost.values().sum::<u64>(), score.lost_events, "{lost:?}");
    for trace in &traces {
        assert_whole(trace, &lost);
    }
    assert_eq!((score.mis_stitched, score.orphan_spans), (0, 0));
    assert_eq!(
        (score.conservation_violations, score.negative_durations),
        (0, 0)
    );
    let left_out = score.events_filtered["sampled_out"];
    let share = delivered(&recording, left_out);
    // Sockets, processes and the names of files are told in any case.
    assert!(share < 0.2, "{share}");
}

fn a_client_that_is_not_traced() {
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let recording = Recording::start(
        &lab,
        scratch.path("sampled.tsrec"),
        &["--sample", SHARE, "--detail", "lean"],
    );
    let client = scratch.path("client.jsonl");
    let target = lab.nginx.to_string();
    let load = [
        "load",
        "--target",
        &target,
        "--rate",
        "200",
        "--duration",
        "5",
    ];
    tierscope(&[&load[..], &["--records", &client]].concat()).with(0);
    let file = recording.file.clone();
    recording.stop();
    let traces = assemble(&file);
    assert_eq!(ids(&traces), kept(Path::new(&client)));
    let lost = lost(Path::new(&file));
    for trace in &traces {
        assert_whole(trace, &lost);
        let root = trace.root().expect("a root");
        assert_eq!(
            (root.kind, &*root.resource.service),
            (SpanKind::Server, "nginx")
        );
    }
}
