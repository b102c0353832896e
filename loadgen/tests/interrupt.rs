//! Ctrl-C, in a process of its own: the signal is the whole process's.

#![allow(clippy::unwrap_used)] // In helpers too, which clippy does not know as tests.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, raise};
use support::{mix, ok, options, read, serve};
use tierscope_loadgen::{ErrorKind, run};

#[test]
fn the_first_ends_the_sending_the_second_the_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let target = serve(|asked, stream| asked.target == "/silent" || ok(stream));
    let mut options = options(target, 100.0, mix(&["/ok", "/silent"]));
    options.connections = 64;
    options.duration = Duration::from_secs(60);
    options.timeout = Duration::from_secs(60);
    options.records = Some(directory.path().join("client.jsonl"));
    let begin = Instant::now();
    thread::spawn(|| {
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(400));
            raise(Signal::SIGINT).unwrap();
        }
    });
    let summary = run(&options, false).unwrap();
    assert!(summary.interrupted);
    assert!((800..3_000).contains(&begin.elapsed().as_millis()));
    let records = read(options.records.as_ref().unwrap());
    let silent = records.iter().filter(|r| *r.path == *"/silent");
    assert!(
        silent
            .clone()
            .all(|r| r.error == Some(ErrorKind::Interrupted))
    );
    assert_eq!(summary.errors["interrupted"], silent.count() as u64);
    assert_eq!(
        records.len() as u64,
        summary.total.ok + summary.errors["interrupted"]
    );
    assert!(
        records.len() < 60,
        "sent after the signal: {}",
        records.len()
    );
}
