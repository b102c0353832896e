//! Decoding: what the programs write comes out as it was, and nothing else comes out at all.

mod support;

use proptest::prelude::*;
use support::{one_of_each, record, send, usdt};
use tierscope_model::{
    BlockOperation, Body, FileOperation, Off, Probe, ProcessChange, Protocol, SocketRole, Timestamp,
};
use tierscope_tracer::wire_record::*;
use tierscope_tracer::{DecodeError, decode};

#[test]
fn every_kind_is_decoded() {
    let bodies: Vec<_> = one_of_each()
        .iter()
        .map(|record| decode(record).expect("decodes").body)
        .collect();
    let [
        Body::Socket(socket),
        Body::Send(send),
        _,
        _,
        _,
        _,
        Body::Usdt(usdt),
        Body::Process(process),
        Body::Loss(loss),
        Body::Filtered(filtered),
        Body::Transmit(transmit),
        Body::Accepted(accepted),
        Body::Switch(switch),
        Body::File(file),
        Body::FileName(name),
        Body::Block(block),
        Body::Buffers(buffers),
        Body::Stack(stack),
        Body::Skipped(skipped),
        Body::Turned(turned),
        Body::Dropped(dropped),
    ] = &bodies[..]
    else {
        panic!("{bodies:?}")
    };
    assert_eq!(
        (socket.local.to_string(), socket.peer.to_string()),
        ("127.0.0.1:80".into(), "[::1]:4000".into())
    );
    assert_eq!((skipped.seq, skipped.end_seq), (100, 150));
    assert_eq!(
        (dropped.cookie.0, dropped.seq, dropped.end_seq),
        (7, 100, 150)
    );
    assert_eq!((turned.pid, turned.tid), (2, 3));
    assert_eq!(socket.role, SocketRole::Accept);
    assert_eq!(
        (send.protocol, send.seq, send.len),
        (Protocol::Http, 5, 600)
    );
    assert_eq!(
        (&send.head[..], &send.tail[..]),
        (&b"GET / HTTP/1.1\r\n\r\n"[..], &b"0123456789abcdef"[..])
    );
    assert_eq!(
        (loss.program, loss.count, filtered.reason, filtered.count),
        (3, 2, 1, 5)
    );
    assert_eq!((usdt.probe, usdt.args[5]), (Probe::RequestStart, 6));
    assert_eq!(usdt.text, ["GET", "/api/users"]);
    assert_eq!(
        (process.change, process.comm.as_str()),
        (ProcessChange::Fork, "nginx")
    );
    assert_eq!((transmit.seq, transmit.end_seq), (5, 605));
    assert_eq!(accepted.pid, 2);
    assert_eq!(
        (switch.off, switch.off_at),
        (Off::Blocked, Some(Timestamp(10)))
    );
    assert_eq!((switch.woken_at, switch.syscall), (None, None));
    assert_eq!(switch.before.comm, "postgres");
    assert_eq!(
        (file.operation, file.result, file.offset),
        (FileOperation::Sync, -5, None)
    );
    assert_eq!((name.file.ino, name.path.as_str()), (4, "/base/1259"));
    assert_eq!(
        (block.operation, block.issued),
        (BlockOperation::Flush, Timestamp(9))
    );
    assert_eq!((buffers.hits, buffers.reads), (3, 1));
    assert_eq!(
        (stack.stack, &stack.frames[..]),
        (6, &["read".to_owned(), "main".to_owned()][..])
    );
}

#[test]
fn every_probe_has_its_number() {
    let last = usdt(TS_PROBE_COUNT - 1, "", "");
    let Ok(Body::Usdt(usdt)) = decode(&last).map(|event| event.body) else {
        panic!("decodes")
    };
    assert_eq!(usdt.probe, Probe::PgModifyDone);
}

#[test]
fn hostile_records_are_refused_by_name() {
    let value = |kind, field, offset, value| DecodeError::Value {
        kind,
        field,
        offset,
        value,
    };
    let socket = |family, role| {
        record(
            TS_KIND_SOCKET,
            1,
            ts_socket {
                family,
                role,
                ..ts_socket::default()
            },
            b"",
        )
    };
    let process = ts_process {
        change: 9,
        ..ts_process::default()
    };
    let mut long = send(TS_PROTOCOL_HTTP, 5, 600, b"GET", b"");
    long.extend([0; 8]);
    long[2] += 8;
    let mut liar = send(TS_PROTOCOL_HTTP, 5, 600, b"GET", b"");
    liar[48..50].copy_from_slice(&u16::MAX.to_le_bytes());
    let mut tail = send(TS_PROTOCOL_HTTP, 5, 600, b"GET", b"");
    tail[50] = 17;
    for (bytes, expected) in [
        (
            vec![],
            DecodeError::Short {
                kind: 0,
                needed: 16,
                found: 0,
            },
        ),
        (
            vec![1; 15],
            DecodeError::Short {
                kind: 0,
                needed: 16,
                found: 15,
            },
        ),
        (
            record(99, 1, ts_recv::default(), b""),
            DecodeError::UnknownKind(99),
        ),
        (
            record(TS_KIND_CLOSE, 1, ts_retransmit::default(), b""),
            DecodeError::Short {
                kind: 6,
                needed: 56,
                found: 40,
            },
        ),
        (
            record(TS_KIND_ARRIVE, 1, ts_close::default(), b""),
            DecodeError::Trailing {
                kind: 4,
                offset: 48,
                found: 56,
            },
        ),
        (
            one_of_each()[2][..32].to_vec(),
            DecodeError::Length {
                kind: 3,
                said: 64,
                found: 32,
            },
        ),
        (socket(3, 1), value(1, "family", 48, 3)),
        (socket(2, 0), value(1, "role", 54, 0)),
        (send(9, 5, 600, b"GET", b""), value(2, "protocol", 51, 9)),
        (
            send(TS_PROTOCOL_HTTP, 5, 2, b"GET", b""),
            value(2, "sent", 44, 2),
        ),
        (
            send(TS_PROTOCOL_HTTP, 5, 0, b"", b""),
            value(2, "sent", 44, 0),
        ),
        (tail, value(2, "tail_len", 50, 17)),
        (
            long,
            DecodeError::Trailing {
                kind: 2,
                offset: 88,
                found: 96,
            },
        ),
        (
            liar,
            DecodeError::Short {
                kind: 2,
                needed: 65_616,
                found: 88,
            },
        ),
        (
            usdt(TS_PROBE_COUNT, "", ""),
            value(7, "probe", 24, TS_PROBE_COUNT.into()),
        ),
        (
            record(TS_KIND_PROCESS, 1, process, b""),
            value(8, "change", 28, 9),
        ),
        (
            record(
                TS_KIND_ARRIVE,
                1,
                ts_arrive {
                    late: 2,
                    ..ts_arrive::default()
                },
                b"",
            ),
            value(4, "late", 44, 2),
        ),
    ] {
        assert_eq!(decode(&bytes), Err(expected), "{bytes:?}");
    }
}

#[test]
fn no_truncation_is_taken() {
    for record in one_of_each() {
        for cut in 0..record.len() {
            assert!(decode(&record[..cut]).is_err());
            // Even where the length is made to fit.
            if cut >= 16 {
                let mut short = record[..cut].to_vec();
                short[2..4].copy_from_slice(&(cut as u16).to_le_bytes());
                assert!(decode(&short).is_err(), "{cut} of {record:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        which in 0_usize..10,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..9),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = one_of_each().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = decode(&bytes);
        let _ = decode(&noise);
    }
}
