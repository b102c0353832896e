//! The containers, traced by their names from the host and from a container. `make compose-test` has them built.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use tierscope_model::{Trace, attr};

use crate::{
    REPOSITORY,
    support::{Ended, Recording, Scratch, assemble, end, scored::Scored, wait_within},
};

const TIERS: [(&str, &str); 4] = [
    ("nginx", "nginx"),
    ("app", "app"),
    ("postgres", "postgres"),
    ("loadgen", "load"),
];
const ATTACHING: Duration = Duration::from_secs(60);

/// What docker or docker-compose says in the repository's root.
fn ask(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(REPOSITORY);
    command.envs(variables.iter().copied());
    end(&mut command).with(0).out
}

/// The container of a service of compose.yaml.
fn container(service: &str) -> String {
    let id = ask("docker-compose", &["ps", "-q", service], &[]);
    id.trim().to_owned()
}

/// Starts the containers, and says how each is named to the recorder.
fn up() -> [String; 4] {
    ask("docker-compose", &["up", "-d"], &[]);
    TIERS.map(|(name, service)| format!("--container={name}={}", container(service)))
}

/// Lets the load generator go, and waits for its end.
fn run_load() {
    let mut attach = Command::new("docker");
    attach.args(["attach", &container("load")]);
    attach.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = attach.spawn().expect("docker");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(b"go\n").expect("written");
    let ended = Ended::from(child.wait_with_output().expect("ended"));
    println!("{}", ended.with(0).out);
}

/// Holds the recording against what the load generator saw.
fn check(scratch: &Scratch, recording: &str) {
    let client = scratch.path("client.jsonl");
    let records = format!("{}:/var/lib/tierscope/client.jsonl", container("load"));
    ask("docker", &["cp", &records, &client], &[]);
    Scored::of(recording, &client)
        .is_flawless(2000)
        .crosses_a_network();
}

#[test]
#[ignore = "needs a container engine: make compose-test"]
fn a_load_on_containers_that_are_named() {
    let scratch = Scratch::new();
    let named = up();
    let options: Vec<_> = named.iter().map(String::as_str).collect();
    let options = [&options[..], &["--keep-text"]].concat();
    let recording = Recording::of(scratch.path("containers.tsrec"), &options);
    run_load();
    let file = recording.file.clone();
    print!("{}", recording.stop().out);
    check(&scratch, &file);
}

#[test]
#[ignore = "needs a container engine: make compose-test"]
fn the_same_from_a_container() {
    let scratch = Scratch::new();
    let named = up();
    let out = "--out=/recordings/inside.tsrec";
    let tracer = ["run", "-d", "tracer", "record", "--keep-text", out];
    let options: Vec<_> = tracer
        .into_iter()
        .chain(named.iter().map(String::as_str))
        .collect();
    let id = ask(
        "docker-compose",
        &options,
        &[("RECORDINGS", &scratch.path(""))],
    );
    let id = id.trim();
    let file = scratch.path("inside.tsrec");
    wait_within(ATTACHING, "the recording", || Path::new(&file).exists());
    run_load();
    // What is under way reaches the ring buffer first.
    sleep(Duration::from_millis(100));
    ask("docker", &["stop", id], &[]);
    print!("{}", ask("docker", &["logs", id], &[]));
    assert_eq!(ask("docker", &["wait", id], &[]).trim(), "0");
    ask("docker", &["rm", id], &[]);
    check(&scratch, &file);
}

/// The files that the app read for a request, in order.
fn files(trace: &Trace) -> Vec<String> {
    let of_app = trace
        .spans
        .iter()
        .filter(|span| &*span.resource.service == "app");
    let reads = of_app.filter(|span| span.name == "file read");
    let paths = reads.filter_map(|span| span.attributes.text(attr::FILE_PATH));
    let mut paths: Vec<_> = paths.map(str::to_owned).collect();
    // A probe's, and the call's in it.
    paths.dedup();
    paths
}

/// The changed pattern of file I/O is the one that the host's lab has.
#[test]
#[ignore = "needs a container engine: make compose-test"]
fn a_report_reads_a_file_for_each_of_its_rows() {
    let scratch = Scratch::new();
    let named = up();
    let options: Vec<_> = named.iter().map(String::as_str).collect();
    let recording = Recording::of(scratch.path("rows.tsrec"), &options);
    let load = [
        "run",
        "--rm",
        "-T",
        "load",
        "tierscope",
        "load",
        "--target=nginx:8080",
        "--rate=50",
        "--duration=2",
        "--fault=report:1:file_per_row",
    ];
    print!("{}", ask("docker-compose", &load, &[]));
    let file = recording.file.clone();
    recording.stop();
    let traces = assemble(&file);
    let reports = traces.iter().filter(|t| t.endpoint.contains("/report/"));
    let read: Vec<_> = reports.map(files).collect();
    assert!(!read.is_empty());
    let rows = |number: usize| (1..=number).map(|row| format!("/opt/tierscope/rows/{row}.html"));
    for files in &read {
        let (template, beside) = files.split_first().expect("a file");
        assert!(template.ends_with("/report.html"), "{files:?}");
        assert!(beside.len() > 1, "{files:?}");
        assert!(beside.iter().cloned().eq(rows(beside.len())), "{files:?}");
    }
}
