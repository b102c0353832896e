//! The main job on real input: an experiment from lab up to score, and what its folder is good for.

mod support;

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use support::{Scratch, TIERSCOPE, end, json, may_trace, tierscope};
use tierscope_experiments::{Injected, Score, read_lines};
use tierscope_loadgen::Record;
use tierscope_model::{RequestId, Trace};

const EXPERIMENT: &str = r#"
name = "small"
title = "2,000 requests, 5 % of the searches sleep in PostgreSQL"

[load]
rate = 200
duration_s = 10
connections = 16
seed = 1

[[fault]]
endpoint = "search"
share = 0.05
header = "db_ms=200"
hop = "app → postgres"
magnitude_ns = 200_000_000
"#;
const SEARCH: &str = "GET /api/products/search";

#[test]
fn an_experiment_from_lab_up_to_score() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let experiment = scratch.write("small.toml", EXPERIMENT);
    let runs = scratch.path("runs");
    let ended = tierscope(&["run", &experiment, "--json", "--runs", &runs]).with(0);
    assert_eq!(ended.err, "", "nothing is said where all went well");
    let mut made = fs::read_dir(&runs).expect("runs");
    let run = made.next().expect("a run").expect("a run").path();
    assert!(made.next().is_none(), "one run, one folder");

    let score: Score = serde_json::from_str(&ended.out).expect("a score");
    let written = fs::read(run.join("score.json")).expect("score.json");
    assert_eq!(score, serde_json::from_slice(&written).expect("a score"));
    score_is_reached(&score);
    folder_is_whole_and_private(&run);
    let faulty = truth_is_what_the_client_sent(&run);
    slow_search_is_a_faulty_one(&run, &faulty);
    assembling_again_gives_the_same_bytes(&run, &scratch);
    every_way_to_show_it_works(&run, &scratch);
    the_report_has_every_endpoint(&run);
    every_export_parses(&run);
    pipes_and_terminals_are_respected(&run);
}

fn score_is_reached(score: &Score) {
    println!("{}", serde_json::to_string_pretty(score).expect("JSON"));
    assert_eq!(score.requests, 2000);
    assert!(
        score.complete_share() >= 0.999,
        "{:?}",
        score.incomplete_by_reason
    );
    assert_eq!(score.mis_stitched, 0);
    assert_eq!(score.lost_events, 0);
    assert!(score.orphan_spans * 10_000 <= score.spans);
    assert_eq!(score.conservation_violations, 0);
    assert_eq!(score.negative_durations, 0);
    assert!(score.client_vs_trace_us.p99 <= 100.0);
    assert_eq!(score.http_parse_success, 1.0);
    assert_eq!(score.edges["request"].correct, 2000);
    let query = score.edges["query"];
    assert!(query.correct > 3000 && query.unverified * 100 <= query.correct);
    for part in ["kernel", "nginx", "postgres", "app", "tierscope"] {
        assert!(!score.versions[part].is_empty(), "{part}");
    }
}

fn folder_is_whole_and_private(run: &Path) {
    let mut files = HashSet::new();
    let mut folders = vec![run.to_path_buf()];
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
            files.insert(entry.path().strip_prefix(run).expect("inside").to_owned());
        }
    }
    let expected = [
        "recording.tsrec",
        "client.jsonl",
        "truth.jsonl",
        "traces.jsonl",
        "apart.jsonl",
        "outside.json",
        "score.json",
        "findings.json",
        "waterfalls/median.svg",
        "waterfalls/slow.svg",
        "logs/load.json",
        "logs/access.jsonl",
        "logs/app.log",
        "logs/nginx.log",
        "logs/postgres.log",
    ];
    assert_eq!(files, expected.iter().map(PathBuf::from).collect());
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("there").permissions().mode() & 0o777
}

fn truth_is_what_the_client_sent(run: &Path) -> HashSet<RequestId> {
    let client: Vec<Record> = read_lines(&run.join("client.jsonl")).expect("records");
    let truth: Vec<Injected> = read_lines(&run.join("truth.jsonl")).expect("faults");
    let sent: HashSet<RequestId> = client
        .iter()
        .filter(|record| record.fault.is_some())
        .map(|record| {
            record
                .id
                .as_ref()
                .expect("answered")
                .parse()
                .expect("an id")
        })
        .collect();
    let told: HashSet<_> = truth.iter().map(|fault| fault.id).collect();
    assert!(sent.len() > 3, "{} faults", sent.len());
    assert_eq!(sent, told);
    for fault in &truth {
        assert_eq!(fault.fault, "db_ms=200");
        assert_eq!(fault.magnitude_ns, Some(200_000_000));
    }
    told
}

fn slow_search_is_a_faulty_one(run: &Path, faulty: &HashSet<RequestId>) {
    let run = run.to_str().expect("UTF-8");
    let shown = tierscope(&["show", run, "--endpoint", SEARCH, "--slowest", "--json"]).with(0);
    let trace: Trace = serde_json::from_str(&shown.out).expect("a trace");
    assert!(faulty.contains(&trace.request_id.expect("an id")));
    assert!(trace.duration() >= 200_000_000);
    let query = trace.spans.iter().find(|span| span.name == "db query");
    let query = query.expect("a query");
    let asleep = query.end.since(query.start);
    assert!(asleep >= 200_000_000, "{asleep} ns in the query");
    let elsewhere = trace.duration() - asleep;
    assert!(elsewhere < asleep / 2, "{elsewhere} ns elsewhere");
}

fn assembling_again_gives_the_same_bytes(run: &Path, scratch: &Scratch) {
    let again = scratch.path("again.jsonl");
    let recording = run.join("recording.tsrec");
    let recording = recording.to_str().expect("UTF-8");
    tierscope(&["assemble", recording, "--out", &again]).with(0);
    let bytes = fs::read(&again).expect("traces");
    assert!(bytes == fs::read(run.join("traces.jsonl")).expect("traces"));
    assert_eq!(mode(Path::new(&again)), 0o600);
}

fn every_way_to_show_it_works(run: &Path, scratch: &Scratch) {
    let folder = run.to_str().expect("UTF-8");
    let slowest = tierscope(&["show", folder, "--slowest"]).with(0).out;
    for part in ["Request ", "├─ nginx", "├─ network nginx → app", "└─ "] {
        assert!(slowest.contains(part), "no {part:?} in\n{slowest}");
    }
    let recording = run.join("recording.tsrec");
    let recording = recording.to_str().expect("UTF-8");
    assert_eq!(
        tierscope(&["show", recording, "--slowest"]).with(0).out,
        slowest
    );

    let shown = tierscope(&["show", folder, "--slowest", "--json"]).with(0);
    let trace: Trace = serde_json::from_str(&shown.out).expect("a trace");
    let id = trace.request_id.expect("an id").to_string();
    assert_eq!(
        tierscope(&["show", folder, "--id", &id[..12]]).with(0).out,
        slowest
    );

    let svg = scratch.path("slowest.svg");
    tierscope(&["show", folder, "--slowest", "--svg", &svg]).with(0);
    let svg = fs::read_to_string(svg).expect("a picture");
    let picture = roxmltree::Document::parse(&svg).expect("XML");
    assert_eq!(picture.root_element().tag_name().name(), "svg");
    assert!(svg.contains("postgres"));

    let none = tierscope(&["show", folder, "--id", "zz"]).with(1);
    assert!(none.err.contains("none of 2000 traces"), "{}", none.err);
}

fn the_report_has_every_endpoint(run: &Path) {
    tierscope(&["report", run.to_str().expect("UTF-8")]).with(0);
    let file = run.join("report.html");
    assert_eq!(mode(&file), 0o600);
    let page = fs::read_to_string(file).expect("a page");
    let traces: Vec<Trace> = read_lines(&run.join("traces.jsonl")).expect("traces");
    let endpoints: HashSet<&str> = traces.iter().map(|t| t.endpoint.as_str()).collect();
    for endpoint in &endpoints {
        assert!(page.contains(&format!("<h3>{endpoint}</h3>")), "{endpoint}");
    }
    assert_eq!(page.matches("class=\"plots\"").count(), endpoints.len());
    assert!(page.contains("2,000 requests, 5 % of the searches sleep"));
    let pictures = fs::read_dir(run.join("waterfalls")).expect("pictures");
    assert!(pictures.count() >= endpoints.len() + 2);
}

fn every_export_parses(run: &Path) {
    let traces: Vec<Trace> = read_lines(&run.join("traces.jsonl")).expect("traces");
    let spans: usize = traces.iter().map(|trace| trace.spans.len()).sum();
    let export = |format: &str| {
        let run = run.to_str().expect("UTF-8");
        json(&tierscope(&["export", run, "--format", format]).with(0).out)
    };
    let jaeger = export("jaeger");
    assert_eq!(
        jaeger["data"].as_array().expect("traces").len(),
        traces.len()
    );
    let zipkin = export("zipkin");
    assert_eq!(zipkin.as_array().expect("spans").len(), spans);
    let otlp = export("otlp");
    let sent: usize = otlp["resourceSpans"]
        .as_array()
        .expect("resources")
        .iter()
        .flat_map(|resource| resource["scopeSpans"].as_array().expect("scopes"))
        .map(|scope| scope["spans"].as_array().expect("spans").len())
        .sum();
    assert_eq!(sent, spans);
}

fn pipes_and_terminals_are_respected(run: &Path) {
    let shell = |command: String| end(Command::new("sh").args(["-c", &command]));
    let show = format!("{TIERSCOPE} show {} --slowest", run.display());
    let head = shell(format!("{show} --json | head -c 1"));
    assert_eq!((head.out.as_str(), head.err.as_str()), ("{", ""));

    // `script` gives it a terminal.
    let typed = |setting: &str| shell(format!("{setting} script -qec '{show}' /dev/null")).out;
    assert!(typed("env -u NO_COLOR").contains('\u{1b}'), "colours");
    assert!(!typed("NO_COLOR=1").contains('\u{1b}'), "no colours");
    assert!(!shell(show.clone()).out.contains('\u{1b}'), "no terminal");
}
