//! Scrubbing records: lengths stay, secrets go, also where a message spans sends.

mod support;

use proptest::prelude::*;
use support::{one_of_each, send, usdt};
use tierscope_model::{Body, Send};
use tierscope_tracer::wire_record::*;
use tierscope_tracer::{Scrubber, decode};
use tierscope_wire::Keep;
use tierscope_wire::http::{Head, parse_head};
use zerocopy::FromBytes;

fn scrubbed(scrubber: &mut Scrubber, mut record: Vec<u8>) -> Send {
    let len = record.len();
    scrubber.scrub(&mut record);
    assert_eq!(record.len(), len);
    match decode(&record).expect("still a record").body {
        Body::Send(send) => send,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_protocol_keeps_its_own() {
    let scrub = |record| scrubbed(&mut Scrubber::default(), record);
    let http = scrub(send(
        TS_PROTOCOL_HTTP,
        1,
        900,
        b"GET /a?b=c HTTP/1.1\r\n\r\n",
        b"secret-0123\r\n0\r\n\r\n".last_chunk::<16>().expect("16"),
    ));
    assert_eq!(http.head, b"GET /a?b=? HTTP/1.1\r\n\r\n");
    assert_eq!(http.tail, b"\0\0\0\0\0\0\0\0\0\r\n0\r\n\r\n");
    let query = scrub(send(
        TS_PROTOCOL_PG_FRONTEND,
        1,
        15,
        b"Q\0\0\0\x0eSELECT 42\0",
        b"",
    ));
    assert_eq!(query.head, b"Q\0\0\0\x0eSELECT ??\0");
    let ready = scrub(send(
        TS_PROTOCOL_PG_BACKEND,
        1,
        900,
        b"D\0\0\x03\0secret",
        b"secretsecZ\0\0\0\x05I",
    ));
    assert_eq!(
        (&ready.head[..], &ready.tail[..]),
        (
            &b"D\0\0\x03\0\0\0\0\0\0\0"[..],
            &b"\0\0\0\0\0\0\0\0\0Z\0\0\0\x05I"[..]
        )
    );
    let unknown = scrub(send(TS_PROTOCOL_UNKNOWN, 1, 900, b"GET /secret", b"secret"));
    assert_eq!((unknown.head, unknown.tail), (vec![0; 11], vec![0; 6]));
}

#[test]
fn sql_of_probes_is_masked_and_the_rest_stays() {
    for (probe, text, kept) in [
        (TS_PROBE_DB_QUERY_START, "SELECT 'x'", "SELECT ???"),
        (TS_PROBE_PG_PARSE_START, "SELECT 'x", "SELECT ??"),
        (TS_PROBE_PG_EXECUTE_START, "SELECT 12", "SELECT ??"),
        (TS_PROBE_PG_STATEMENT_STATUS, "SELECT 12", "SELECT ??"),
        (TS_PROBE_CACHE_HIT, "user:12", "user:12"),
        (TS_PROBE_FILE_IO_START, "/tmp/a 'b'", "/tmp/a 'b'"),
    ] {
        let mut record = usdt(probe, text, "second 1");
        Scrubber::default().scrub(&mut record);
        let Body::Usdt(usdt) = decode(&record).expect("still a record").body else {
            panic!()
        };
        assert_eq!(usdt.text, [kept, "second 1"], "{probe}");
    }
}

#[test]
fn what_is_asked_for_is_kept() {
    let mut scrubber = Scrubber::new(Keep {
        values: true,
        text: true,
    });
    for record in [
        send(
            TS_PROTOCOL_HTTP,
            1,
            900,
            b"GET /a?b=c HTTP/1.1\r\nCookie: d\r\n\r\n",
            b"tail",
        ),
        send(
            TS_PROTOCOL_PG_FRONTEND,
            1,
            24,
            b"B\0\0\0\x17\0s\0\0\0\0\x01\0\0\0\x04abcd\0\0",
            b"",
        ),
        usdt(TS_PROBE_DB_QUERY_START, "SELECT 'x'", ""),
    ] {
        let mut kept = record.clone();
        scrubber.scrub(&mut kept);
        assert_eq!(kept, record);
    }
}

#[test]
fn heads_that_never_end_are_held_up_to_a_limit() {
    let mut scrubber = Scrubber::default();
    let mut scrub = |cookie, seq, bytes: &[u8]| {
        let mut record = send(TS_PROTOCOL_HTTP, seq, bytes.len() as u32, bytes, b"");
        let (fixed, _) = ts_send::mut_from_prefix(&mut record).expect("a send");
        fixed.cookie = cookie;
        scrubbed(&mut scrubber, record).head
    };
    let start = format!("GET / HTTP/1.1\r\nCookie: {}\r\n", "x".repeat(460));
    let next = start.len() as u32;
    let one_too_many = (16 << 20) / start.len() as u64;
    for cookie in 0..=one_too_many {
        scrub(cookie, 0, start.as_bytes());
    }
    let rest = b"Content-Length: 0\r\n\r\n";
    assert_eq!(scrub(0, next, rest), [0; 21], "forgotten");
    assert_eq!(scrub(one_too_many, next, rest), rest, "held");
}

#[test]
fn a_head_that_two_sends_share_parses_as_one() {
    let head = b"GET /a?b=c HTTP/1.1\r\nCookie: secret\r\nX-Request-ID: 4bf92f3577b34da6a3ce929d0e0e4736\r\nHost: d\r\n\r\n";
    for cut in 1..head.len() {
        let mut scrubber = Scrubber::default();
        let (first, second) = head.split_at(cut);
        let seq = u32::MAX - 3;
        let first = send(TS_PROTOCOL_HTTP, seq, first.len() as u32, first, b"");
        let second = send(
            TS_PROTOCOL_HTTP,
            seq.wrapping_add(cut as u32),
            second.len() as u32,
            second,
            b"",
        );
        let mut both = scrubbed(&mut scrubber, first).head;
        both.extend(scrubbed(&mut scrubber, second).head);
        assert_eq!(
            parse_head(&both),
            parse_head(head),
            "{cut}: {:?}",
            String::from_utf8_lossy(&both)
        );
        assert!(matches!(parse_head(&both), Head::Request(_)));
        assert!(!String::from_utf8_lossy(&both).contains("secret"), "{cut}");
    }
}

#[test]
fn a_message_that_spans_sends_is_passed_over() {
    let mut scrubber = Scrubber::default();
    let row = [&b"D\0\0\x02\x58"[..], &[b'x'; 300]].concat();
    scrubbed(
        &mut scrubber,
        send(TS_PROTOCOL_PG_BACKEND, 1000, 305, &row, b""),
    );
    // The row is 601 bytes long: 296 are to come.
    let rest = [&[b'y'; 296][..], b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"].concat();
    let second = scrubbed(
        &mut scrubber,
        send(TS_PROTOCOL_PG_BACKEND, 1305, rest.len() as u32, &rest, b""),
    );
    assert_eq!(
        second.head,
        [&[0; 296][..], b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"].concat()
    );
    // Once more, and forgotten at the end of the socket.
    scrubbed(
        &mut scrubber,
        send(TS_PROTOCOL_PG_BACKEND, 1000, 305, &row, b""),
    );
    scrubber.scrub(&mut one_of_each()[5].clone());
    let fresh = scrubbed(
        &mut scrubber,
        send(TS_PROTOCOL_PG_BACKEND, 1305, 6, b"Z\0\0\0\x05I", b""),
    );
    assert_eq!(fresh.head, b"Z\0\0\0\x05I");
}

#[test]
fn what_is_no_record_keeps_nothing() {
    let mut liar = send(TS_PROTOCOL_HTTP, 1, 900, b"GET /secret", b"");
    liar[48..50].copy_from_slice(&u16::MAX.to_le_bytes());
    Scrubber::default().scrub(&mut liar);
    assert!(liar[16..].iter().all(|&byte| byte == 0));
    let mut stub = *b"secret";
    Scrubber::default().scrub(&mut stub);
    assert_eq!(stub, [0; 6]);
}

proptest! {
    #[test]
    fn any_record_is_taken(
        records in prop::collection::vec((0_u32..5, any::<u32>(), prop::collection::vec(any::<u8>(), 0..64), 0_usize..17), 1..6),
        noise in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut scrubber = Scrubber::default();
        for (protocol, seq, head, tail) in records {
            let mut record = send(protocol, seq, head.len() as u32 + 1, &head, &[7; 16][..tail.min(16)]);
            scrubber.scrub(&mut record);
        }
        let mut noise = noise;
        scrubber.scrub(&mut noise);
    }
}
