//! A server that goes away: errors are recorded, and the run ends in time.

#![allow(clippy::unwrap_used)] // In helpers too, which clippy does not know as tests.

mod support;

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use support::{mix, ok, options, read};
use tierscope_loadgen::{ErrorKind, LoadError, run};

/// Answers 20 requests on one connection, reads another and goes; comes back after `pause`.
fn server(pause: Option<Duration>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        serve_some(listener, 20);
        if let Some(pause) = pause {
            thread::sleep(pause);
            serve_some(TcpListener::bind(address).unwrap(), usize::MAX);
        }
    });
    address
}

fn serve_some(listener: TcpListener, answers: usize) {
    let (mut stream, _) = listener.accept().unwrap();
    // Closed after the stream, it would take one more connection in between.
    drop(listener);
    let heads = BufReader::new(stream.try_clone().unwrap()).lines();
    let ends = heads.map_while(Result::ok).filter(|line| line.is_empty());
    for (answered, _) in ends.enumerate() {
        if answered == answers || !ok(&mut stream) {
            return;
        }
    }
}

#[test]
fn a_server_gone_for_good_does_not_hang_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(server(None), 100.0, mix(&["/"]));
    options.connections = 1;
    options.timeout = Duration::from_millis(400);
    options.records = Some(directory.path().join("client.jsonl"));
    let begin = Instant::now();
    let summary = run(&options, false).unwrap();
    let limit = options.duration + options.timeout + Duration::from_millis(300);
    assert!(begin.elapsed() < limit, "{:?}", begin.elapsed());
    let records = read(options.records.as_ref().unwrap());
    let count = |error| records.iter().filter(|r| r.error == error).count();
    assert_eq!(count(None), 20);
    assert_eq!(count(Some(ErrorKind::Closed)), 1);
    assert_eq!(count(Some(ErrorKind::Unsent)), 29);
    // The backoff: 0, 10, 20, 40, … ms, not a busy loop.
    assert!(
        (2..12).contains(&summary.connect_failures),
        "{}",
        summary.connect_failures
    );
    assert_eq!((summary.total.requests, summary.total.sent), (50, 21));
}

#[test]
fn a_server_that_comes_back_gets_what_waited() {
    let mut options = options(server(Some(Duration::from_millis(150))), 100.0, mix(&["/"]));
    options.connections = 1;
    let summary = run(&options, false).unwrap();
    assert_eq!((summary.total.requests, summary.total.ok), (50, 49));
    assert_eq!((summary.errors["closed"], summary.reconnects), (1, 1));
    assert!(summary.total.from_intended.max_ns > 100_000_000);
}

#[test]
fn nobody_there_is_an_error_at_once() {
    let target = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = run(&options(target, 100.0, mix(&["/"])), false).unwrap_err();
    assert!(
        matches!(error, LoadError::Connect { number: 1, .. }),
        "{error}"
    );
}
