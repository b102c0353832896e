//! The containers, traced from the host by their names. `make compose-test` has them built.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{
    REPOSITORY,
    support::{Ended, Recording, Scratch, end, scored::Scored},
};

const TIERS: [(&str, &str); 4] = [
    ("nginx", "nginx"),
    ("app", "app"),
    ("postgres", "postgres"),
    ("loadgen", "load"),
];

/// What docker or docker-compose says in the repository's root.
fn ask(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(REPOSITORY);
    end(&mut command).with(0).out
}

/// The container of a service of compose.yaml.
fn container(service: &str) -> String {
    let id = ask("docker-compose", &["ps", "-q", service]);
    id.trim().to_owned()
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

#[test]
#[ignore = "needs a container engine: make compose-test"]
fn a_load_on_containers_that_are_named() {
    let scratch = Scratch::new();
    ask("docker-compose", &["up", "-d"]);
    let named = TIERS.map(|(name, service)| format!("--container={name}={}", container(service)));
    let options: Vec<_> = named.iter().map(String::as_str).collect();
    let options = [&options[..], &["--keep-text"]].concat();
    let recording = Recording::of(scratch.path("containers.tsrec"), &options);
    run_load();
    let file = recording.file.clone();
    print!("{}", recording.stop().out);
    let client = scratch.path("client.jsonl");
    let records = format!("{}:/var/lib/tierscope/client.jsonl", container("load"));
    ask("docker", &["cp", &records, &client]);
    Scored::of(&file, &client)
        .is_flawless(2000)
        .crosses_a_network();
}
