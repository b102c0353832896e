//! Latencies that are known exactly: the server says how long it really held each answer.

#![allow(clippy::unwrap_used)] // In helpers too, which clippy does not know as tests.

mod support;

use std::{
    io::Write as _,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use support::{mix, now, ok, options, read, serve};
use tierscope_loadgen::{Record, run};

const DELAYS_MS: [u64; 3] = [50, 100, 200];

/// Holds for as many ms as the path says. The answer's id is when the request was there and when
/// the answer went, two CLOCK_MONOTONIC times in hex.
fn server() -> SocketAddr {
    serve(|asked, stream| {
        let ms = asked.target[1..].parse().unwrap();
        thread::sleep(Duration::from_millis(ms));
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request-ID";
        write!(stream, "{head}: {:016x}{:016x}\r\n\r\n", asked.at, now()).is_ok()
    })
}

/// When the server had the request and when it sent the answer.
fn held(record: &Record) -> (u64, u64) {
    let id = record.id.as_deref().unwrap();
    let time = |hex| u64::from_str_radix(hex, 16).unwrap();
    (time(&id[..16]), time(&id[16..]))
}

fn quantile(of: f64, values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values[(values.len() as f64 * of) as usize]
}

fn from_send(record: &Record) -> u64 {
    record.last_byte_ns.unwrap() - record.send_ns.unwrap()
}

fn from_intended(record: &Record) -> u64 {
    record.last_byte_ns.unwrap() - record.intended_ns
}

#[test]
fn known_latencies_within_one_percent() {
    let directory = tempfile::tempdir().unwrap();
    let paths = DELAYS_MS.map(|ms| format!("/{ms}"));
    let mix = mix(&paths.each_ref().map(String::as_str));
    let mut options = options(server(), 100.0, mix);
    options.connections = 32;
    options.duration = Duration::from_secs(2);
    options.records = Some(directory.path().join("client.jsonl"));
    let summary = run(&options, false).unwrap();
    let records = read(options.records.as_ref().unwrap());
    assert_eq!(records.len(), 200);
    for record in &records {
        let (got, went) = held(record);
        assert!(record.send_ns.unwrap() < got && went < record.first_byte_ns.unwrap());
    }
    for (path, endpoint) in paths.iter().zip(&summary.endpoints) {
        let own = || records.iter().filter(|record| *record.path == **path);
        for (latency, histogram) in [
            (from_send as fn(&Record) -> u64, endpoint.from_send),
            (from_intended, endpoint.from_intended),
        ] {
            let known = |r: &Record| held(r).1 - held(r).0;
            // In 1/1000 of what is known. A busy machine wakes one side late now and then, but an
            // error of the load generator's own would be in every request.
            let excess = own().map(|r| (latency(r) - known(r)) * 1_000 / known(r));
            let excess = quantile(0.1, excess);
            assert!(
                excess < 10,
                "{path}: {excess} per mille over the known latency"
            );
            let median = quantile(0.5, own().map(latency));
            let near = median - median / 100..median + median / 100;
            assert!(
                near.contains(&histogram.p50_ns),
                "{path}: {median}, {histogram:?}"
            );
        }
    }
}

/// Coordinated omission: one stall is every request's that it kept waiting.
#[test]
fn a_stall_shows_in_the_intended_latency() {
    let directory = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let (from, to) = (Duration::from_millis(400), Duration::from_millis(900));
    let target = serve(move |_, stream| {
        if (from..to).contains(&begin.elapsed()) {
            thread::sleep(to.saturating_sub(begin.elapsed()));
        }
        ok(stream)
    });
    let mut options = options(target, 200.0, mix(&["/"]));
    options.duration = Duration::from_millis(1_500);
    options.records = Some(directory.path().join("client.jsonl"));
    let summary = run(&options, false).unwrap();
    let records = read(options.records.as_ref().unwrap());
    let slow =
        |latency: fn(&Record) -> u64| records.iter().filter(|r| latency(r) > 100_000_000).count();
    // 200/s x 400 ms wait longer than 100 ms; only one per connection was sent into the stall.
    let from_intended = slow(|r| r.last_byte_ns.unwrap() - r.intended_ns);
    let from_send = slow(|r| r.last_byte_ns.unwrap() - r.send_ns.unwrap());
    assert!((60..=120).contains(&from_intended), "{from_intended}");
    assert!((1..=4).contains(&from_send), "{from_send}");
    assert!(summary.total.from_intended.p90_ns > 150_000_000);
    assert!(summary.send_lag.max_ns > 400_000_000);
    assert_eq!(summary.total.ok, 300);
}

#[test]
fn a_slow_reader_is_slow_by_as_much_as_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| {
        let body = "x".repeat(6_000);
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n{body}"
        )
        .is_ok()
    });
    let mix = mix(&["/slow", "/fast"]).with_fault("/slow", 1.0, "slow_read_ms=30");
    let mut options = options(server, 40.0, mix.unwrap());
    options.receive_buffer = Some(2_048);
    options.records = Some(directory.path().join("client.jsonl"));
    run(&options, false).unwrap();
    let records = read(options.records.as_ref().unwrap());
    let took = |path: &'static str| {
        let own = records.iter().filter(move |record| *record.path == *path);
        own.map(from_send)
    };
    let millisecond = 1_000_000;
    assert!(took("/slow").count() > 3 && took("/fast").count() > 3);
    assert!(took("/slow").all(|took| took >= 60 * millisecond));
    // Two pauses, not three; and the others do not wait for them.
    assert!(took("/slow").min() < Some(80 * millisecond));
    assert!(took("/fast").min() < Some(20 * millisecond));
}
