//! Records as the BPF programs write them.

#![allow(dead_code, reason = "each test uses some of it")]

use tierscope_tracer::recording::{Header, ServiceEntry};
use tierscope_tracer::wire_record::*;
use zerocopy::{Immutable, IntoBytes};

/// A record: `body` with its head filled in, `text` behind it, padded to 8 bytes.
pub fn record<T: IntoBytes + Immutable>(kind: u32, ts: u64, body: T, text: &[u8]) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    bytes.extend_from_slice(text);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let head = ts_head {
        kind: kind as u16,
        len: bytes.len() as u16,
        cpu: 1,
        ts,
    };
    bytes[..size_of::<ts_head>()].copy_from_slice(head.as_bytes());
    bytes
}

/// A SEND of `sent` bytes from `seq` on, `head` of them captured.
pub fn send(protocol: u32, seq: u32, sent: u32, head: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut body = ts_send {
        cookie: 7,
        start_ts: 90,
        pid: 2,
        tid: 3,
        seq,
        sent,
        head_len: head.len() as u16,
        tail_len: tail.len() as u8,
        protocol: protocol as u8,
        ..ts_send::default()
    };
    body.tail[..tail.len()].copy_from_slice(tail);
    record(TS_KIND_SEND, 100, body, head)
}

/// A probe with two texts.
pub fn usdt(probe: u32, first: &str, second: &str) -> Vec<u8> {
    let body = ts_usdt {
        pid: 2,
        tid: 3,
        probe: probe as u16,
        text_len: [first.len() as u16, second.len() as u16],
        args: [1, 2, 3, 4, 5, 6],
        ..ts_usdt::default()
    };
    record(
        TS_KIND_USDT,
        100,
        body,
        format!("{first}{second}").as_bytes(),
    )
}

/// One record of every kind.
pub fn one_of_each() -> Vec<Vec<u8>> {
    let socket = ts_socket {
        cookie: 7,
        family: 10,
        role: TS_ROLE_ACCEPT as u8,
        local_port: 80,
        peer_port: 4000,
        local_addr: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1],
        peer_addr: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ..ts_socket::default()
    };
    let process = ts_process {
        pid: 2,
        change: TS_PROCESS_FORK as u8,
        comm: *b"nginx\0garbage\0\0\0",
        ..ts_process::default()
    };
    vec![
        record(TS_KIND_SOCKET, 1, socket, b""),
        send(
            TS_PROTOCOL_HTTP,
            5,
            600,
            b"GET / HTTP/1.1\r\n\r\n",
            b"0123456789abcdef",
        ),
        record(
            TS_KIND_RECV,
            3,
            ts_recv {
                cookie: 7,
                taken: 10,
                ..ts_recv::default()
            },
            b"",
        ),
        record(
            TS_KIND_ARRIVE,
            4,
            ts_arrive {
                cookie: 7,
                late: 1,
                ..ts_arrive::default()
            },
            b"",
        ),
        record(
            TS_KIND_RETRANSMIT,
            5,
            ts_retransmit {
                cookie: 7,
                ..ts_retransmit::default()
            },
            b"",
        ),
        record(
            TS_KIND_CLOSE,
            6,
            ts_close {
                cookie: 7,
                bytes_sent: 9,
                ..ts_close::default()
            },
            b"",
        ),
        usdt(TS_PROBE_REQUEST_START, "GET", "/api/users"),
        record(TS_KIND_PROCESS, 8, process, b""),
        record(
            TS_KIND_LOSS,
            9,
            ts_loss {
                program: 3,
                count: 2,
                ..ts_loss::default()
            },
            b"",
        ),
        record(
            TS_KIND_FILTERED,
            10,
            ts_filtered {
                reason: 1,
                count: 5,
                ..ts_filtered::default()
            },
            b"",
        ),
    ]
}

/// A header with one service.
pub fn header() -> Header {
    let mut header = Header::of_this_host("0.1.0", vec!["tierscope".into(), "record".into()])
        .expect("host facts");
    header.services.push(ServiceEntry {
        name: "app".into(),
        pids: vec![2],
    });
    header.settings.insert("level".into(), "lean".into());
    header
}
