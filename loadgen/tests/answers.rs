//! What comes back over a real connection: chunks, interim answers, closes, garbage, silence.

#![allow(clippy::unwrap_used)] // In helpers too, which clippy does not know as tests.

mod support;

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    thread,
    time::Duration,
};

use support::{Asked, mix, ok, options, read, serve};
use tierscope_loadgen::{ErrorKind, LoadError, Mix, Mode, Record, Request, run};

fn send(stream: &mut TcpStream, bytes: &str) -> bool {
    stream.write_all(bytes.as_bytes()).is_ok()
}

/// Sends and closes.
fn last(stream: &mut TcpStream, bytes: &str) -> bool {
    send(stream, bytes);
    false
}

/// Sends every byte in a segment of its own.
fn drip(stream: &mut TcpStream, bytes: &str) -> bool {
    bytes
        .chars()
        .all(|byte| send(stream, byte.encode_utf8(&mut [0; 4])))
}

fn answer(asked: &Asked, stream: &mut TcpStream) -> bool {
    let head = "HTTP/1.1 200 OK\r\n";
    match asked.target.as_str() {
        "/chunked" => {
            let chunks = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
            drip(stream, &format!("{head}{chunks}"))
        }
        "/interim" => send(stream, "HTTP/1.1 103 Early Hints\r\n\r\n") && ok(stream),
        "/split" => drip(stream, &format!("{head}Content-Length: 2\r\n\r\nok")),
        "/close" => last(
            stream,
            &format!("{head}Connection: close\r\nContent-Length: 1\r\n\r\n1"),
        ),
        "/until-close" => last(stream, &format!("{head}\r\nfour")),
        "/cut" => last(stream, &format!("{head}Content-Length: 9\r\n\r\nfour")),
        "/garbage" => send(stream, "\x16\x03\x01 not http\r\n\r\n"),
        "/more" => send(stream, &format!("{head}Content-Length: 0\r\n\r\nmore")),
        "/missing" => send(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        ),
        "/silent" => true,
        _ => ok(stream),
    }
}

#[test]
fn every_kind_of_answer_is_recorded_as_what_it_is() {
    let expected = [
        ("/chunked", Some(200), 7, None),
        ("/interim", Some(200), 2, None),
        ("/split", Some(200), 2, None),
        ("/close", Some(200), 1, None),
        ("/until-close", Some(200), 4, None),
        ("/cut", None, 4, Some(ErrorKind::Closed)),
        ("/garbage", None, 0, Some(ErrorKind::Malformed)),
        ("/more", None, 0, Some(ErrorKind::Malformed)),
        ("/missing", Some(404), 0, None),
        ("/silent", None, 0, Some(ErrorKind::Timeout)),
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("client.jsonl");
    let mut options = options(serve(answer), 200.0, mix(&expected.map(|e| e.0)));
    options.timeout = Duration::from_millis(300);
    options.connections = 32;
    options.records = Some(path.clone());
    let summary = run(&options, false).unwrap();
    let mut records = read(&path);
    records.sort_by_key(|record| record.n);
    assert!(records.iter().map(|record| record.n).eq(0..100));
    for (name, status, bytes, error) in expected {
        let own: Vec<_> = records.iter().filter(|r| *r.path == *name).collect();
        assert!(!own.is_empty(), "{name}");
        for record in own {
            let seen = (record.status, record.bytes, record.error);
            assert_eq!(seen, (status, bytes, error), "{name}");
            assert!(record.local_port.is_some());
        }
    }
    let count = |path: &str| records.iter().filter(|r| *r.path == *path).count() as u64;
    assert_eq!(summary.errors["http_404"], count("/missing"));
    assert_eq!(
        summary.errors["malformed"],
        count("/garbage") + count("/more")
    );
    assert_eq!(summary.total.ok + summary.errors.values().sum::<u64>(), 100);
    assert!(summary.reconnects >= count("/close"));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn stamps_are_in_order_and_intended_times_evenly_spaced() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(serve(answer), 400.0, mix(&["/a"]));
    options.records = Some(directory.path().join("client.jsonl"));
    let summary = run(&options, false).unwrap();
    let mut records = read(options.records.as_ref().unwrap());
    records.sort_by_key(|record| record.n);
    let times = |r: &Record| {
        [
            Some(r.intended_ns),
            r.send_ns,
            r.first_byte_ns,
            r.last_byte_ns,
        ]
    };
    assert!(
        records
            .iter()
            .all(|r| times(r).is_sorted() && r.send_ns.is_some())
    );
    let step = |pair: &[Record]| pair[1].intended_ns - pair[0].intended_ns;
    assert!(records.windows(2).all(|pair| step(pair) == 2_500_000));
    assert_eq!((summary.total.ok, summary.reconnects), (200, 0));
    let text = summary.to_string();
    assert!(
        text.starts_with("200 sent, 200 ok over 4 connections"),
        "{text}"
    );
}

/// What is sent depends on the seed alone, not on how fast the answers come.
#[test]
fn same_seed_same_sequence_whatever_the_timing() {
    let directory = tempfile::tempdir().unwrap();
    let sequence = |delay: u64, seed: u64| {
        let target = serve(move |_, stream| {
            thread::sleep(Duration::from_millis(delay));
            ok(stream)
        });
        let mut options = options(target, 200.0, Mix::default());
        options.seed = seed;
        options.records = Some(directory.path().join(format!("{delay}-{seed}.jsonl")));
        run(&options, false).unwrap();
        let mut records = read(options.records.as_ref().unwrap());
        records.sort_by_key(|record| record.n);
        records
            .into_iter()
            .map(|r| (r.n, r.endpoint, r.path, r.fault))
            .collect::<Vec<_>>()
    };
    let quick = sequence(0, 1);
    assert_eq!(quick.len(), 100);
    assert_eq!(quick, sequence(30, 1));
    assert_ne!(quick, sequence(0, 2));
}

#[test]
fn the_server_gets_the_requests_of_the_sequence() {
    let (seen, got) = std::sync::mpsc::channel();
    let target = serve(move |asked, stream| {
        seen.send((asked.target.clone(), asked.body.clone()))
            .unwrap();
        ok(stream)
    });
    let mut options = options(target, 400.0, Mix::default());
    options.connections = 1;
    run(&options, false).unwrap();
    let pair = |r: Request| (r.target, r.body.unwrap_or_default().into_bytes());
    let sent = (0..200).map(|n| pair(options.mix.request(options.seed, n)));
    assert!(got.try_iter().eq(sent));
}

#[test]
fn the_closed_loop_waits_for_each_answer() {
    let target = serve(|_, stream| {
        thread::sleep(Duration::from_millis(10));
        ok(stream)
    });
    let mut options = options(target, 1.0, mix(&["/"]));
    options.mode = Mode::Closed;
    let summary = run(&options, false).unwrap();
    // 4 connections x 500 ms / 10 ms, and one more each that was sent before the end.
    assert!(
        (100..=204).contains(&summary.total.ok),
        "{}",
        summary.total.ok
    );
    assert_eq!(
        (summary.total.ok, summary.target_rate),
        (summary.total.sent, None)
    );
    assert!(summary.send_lag.p99_ns < 10_000_000);
}

#[test]
fn options_out_of_range_are_named() {
    let good = options(SocketAddr::from(([127, 0, 0, 1], 9)), 1.0, Mix::default());
    for (option, change) in [
        (
            "rate",
            (|o| o.mode = Mode::Open { rate: f64::NAN }) as fn(&mut tierscope_loadgen::LoadOptions),
        ),
        ("connections", |o| o.connections = 0),
        ("duration", |o| o.duration = Duration::ZERO),
        ("timeout", |o| o.timeout = Duration::MAX),
        ("host", |o| o.host = "a\r\nb".to_owned()),
    ] {
        let mut bad = good.clone();
        change(&mut bad);
        let error = run(&bad, false).unwrap_err();
        assert!(matches!(error, LoadError::Option { option: named, .. } if named == option));
    }
}

#[test]
fn records_that_cannot_be_written_fail_the_run() {
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
    let before = mode("/dev/full");
    for path in ["/nowhere/client.jsonl", "/dev/full"] {
        let mut options = options(serve(answer), 200.0, mix(&["/a"]));
        options.records = Some(path.into());
        let error = run(&options, false).unwrap_err();
        assert!(matches!(error, LoadError::Records { .. }), "{error}");
    }
    assert_eq!(mode("/dev/full"), before);
}
