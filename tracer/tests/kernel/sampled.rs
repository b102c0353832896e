//! Sampling: of requests whose ids are known, those are told that the sample holds, and no others.

use std::io::{Read, Write};
use std::net::TcpStream;

use tierscope_model::{RequestId, Sample};
use tierscope_tracer::wire_record::*;
use tierscope_tracer::{Service, Tracer, TracerOptions};

use crate::can_trace;
use crate::hidden;
use crate::records::{Records, before};
use crate::workload::{self, Workload};

const SHARE: f64 = 0.25;
const REQUESTS: u128 = 200;

fn id(n: u128) -> RequestId {
    RequestId(n << 64 | n)
}

fn kept() -> Vec<RequestId> {
    let sample = Sample::try_from(SHARE).expect("a share");
    (0..REQUESTS)
        .map(id)
        .filter(|id| sample.keeps(*id))
        .collect()
}

fn request(line: &str) -> String {
    format!("GET /item HTTP/1.1\r\n{line}Host: lab\r\n\r\n")
}

fn answer(line: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nServer: test\r\n{line}Content-Length: 2\r\n\r\nok")
}

fn id_line(id: RequestId) -> String {
    format!("X-Request-ID: {id}\r\n")
}

/// The traced program: one connection per case, in the order of the tests below.
pub fn requests() {
    workload::gate();
    let listener = workload::listen();
    let pair = || workload::connect(&listener);
    told_by_the_answer(pair());
    told_by_the_request(pair());
    not_told(pair());
    two_at_once(pair());
    never_answered(pair());
}

fn told_by_the_answer((mut client, mut server): (TcpStream, TcpStream)) {
    for n in 0..REQUESTS {
        let answer = answer(&id_line(id(n)));
        workload::exchange(
            &mut client,
            &mut server,
            request("").as_bytes(),
            answer.as_bytes(),
        );
    }
    workload::finish(client, server);
}

/// The process has served by now: it is believed.
fn told_by_the_request((mut client, mut server): (TcpStream, TcpStream)) {
    for n in 0..REQUESTS {
        let request = request(&id_line(id(n)));
        workload::exchange(
            &mut client,
            &mut server,
            request.as_bytes(),
            answer("").as_bytes(),
        );
    }
    workload::finish(client, server);
}

fn not_told((mut client, mut server): (TcpStream, TcpStream)) {
    for _ in 0..REQUESTS {
        let (request, answer) = (request(""), answer(""));
        workload::exchange(
            &mut client,
            &mut server,
            request.as_bytes(),
            answer.as_bytes(),
        );
    }
    workload::finish(client, server);
}

/// The second request goes before the first is answered: which answer is whose is not looked into.
fn two_at_once((mut client, mut server): (TcpStream, TcpStream)) {
    for n in 0..REQUESTS / 2 {
        for _ in 0..2 {
            client.write_all(request("").as_bytes()).expect("request");
        }
        let both = 2 * request("").len();
        server.read_exact(&mut vec![0; both]).expect("requests");
        for id in [id(2 * n), id(2 * n + 1)] {
            let answer = answer(&id_line(id));
            server.write_all(answer.as_bytes()).expect("answer");
            client
                .read_exact(&mut vec![0; answer.len()])
                .expect("answer");
        }
    }
    workload::finish(client, server);
}

fn never_answered((mut client, mut server): (TcpStream, TcpStream)) {
    client.write_all(request("").as_bytes()).expect("request");
    server
        .read_exact(&mut vec![0; request("").len()])
        .expect("request");
    workload::finish(client, server);
}

fn trace(pid: u32) -> Tracer {
    let service = Service {
        name: "tested".into(),
        pids: vec![pid],
        binary: None,
    };
    let options = TracerOptions {
        services: vec![service],
        sample: Some(Sample::try_from(SHARE).expect("a share")),
        ..TracerOptions::default()
    };
    hidden::begin();
    Tracer::start(options).expect("the tracer starts")
}

/// The ids in what a socket sent, in order.
fn ids(records: &Records, cookie: u64) -> Vec<RequestId> {
    let heads = records.sends_of(cookie).into_iter().map(|send| {
        let head = String::from_utf8(send.head.clone()).expect("text");
        let id = head
            .lines()
            .find_map(|line| line.strip_prefix("X-Request-ID: "));
        id.expect("an id").parse().expect("an id")
    });
    heads.collect()
}

/// What was told of the bytes a socket sent, and what was said to be left out, follow each other without a
/// hole up to the last that was told.
fn check_skipped(records: &Records, socket: &ts_socket) {
    let of_socket = records.skipped.iter().filter(|s| s.cookie == socket.cookie);
    let mut ranges: Vec<_> = of_socket.map(|s| (s.seq, s.end_seq)).collect();
    let told = records.sends_of(socket.cookie).into_iter();
    ranges.extend(told.map(|s| (s.fixed.seq, s.fixed.seq.wrapping_add(s.fixed.sent))));
    ranges.sort_by_key(|(seq, _)| seq.wrapping_sub(socket.send_seq));
    let mut next = socket.send_seq;
    for (seq, end) in ranges {
        assert_eq!(seq, next, "no hole and no overlap");
        assert!(before(seq, end));
        next = end;
    }
}

#[test]
fn the_sample_alone_is_told() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("sampled");
    let mut tracer = trace(workload.pid());
    let ports = workload.run();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let [by_answer, by_request, without, at_once, unanswered] = ports[..] else {
        panic!("{ports:?}")
    };
    let kept = kept();
    assert!((20..=80).contains(&kept.len()), "about a quarter");

    for port in [by_answer, by_request] {
        let pair = records.pair(port);
        for socket in [pair.client, pair.server] {
            assert_eq!(records.sends_of(socket.cookie).len(), kept.len());
            let reads = records.recvs_of(socket.cookie);
            assert!(reads.len() >= kept.len());
            assert!(reads.iter().all(|read| read.arrive_ts > 0));
            check_skipped(&records, socket);
        }
    }
    assert_eq!(ids(&records, records.pair(by_answer).server.cookie), kept);
    assert_eq!(ids(&records, records.pair(by_request).client.cookie), kept);
    for (port, requests) in [(without, REQUESTS), (at_once, REQUESTS), (unanswered, 1)] {
        let told = records.sends_of(records.pair(port).client.cookie);
        assert_eq!(told.len() as u128, requests, "kept for want of an id");
        records.check_pair(&records.pair(port));
    }
    // Two sends and two reads of each.
    let dropped = 2 * (REQUESTS as u64 - kept.len() as u64);
    assert!(records.filtered(TS_FILTER_SAMPLED_OUT) >= 4 * dropped);
}

#[test]
fn without_a_sample_nothing_is_left_out() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("sampled");
    let mut tracer = crate::trace(&[workload.pid()]);
    let ports = workload.run();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    for port in ports {
        records.check_pair(&records.pair(port));
    }
    assert_eq!(records.filtered(TS_FILTER_SAMPLED_OUT), 0);
    assert!(records.skipped.is_empty() && records.turned.is_empty());
    assert!(records.switches.iter().all(|switch| switch.gap == 0));
}
