//! Any events with any fields: a trace or none, never a panic.

use proptest::prelude::*;
use tierscope_assembler::{Options, segments};
use tierscope_model::{
    Arrive, Body, Close, Event, Loss, Probe, Process, ProcessChange, Protocol, Recv, Retransmit,
    Send, Socket, SocketCookie, SocketRole, Timestamp, Usdt,
};

use crate::common::messages::{prepare, ready, rows, run, simple, sync};
use crate::common::{assemble, trace};

const PROBES: [Probe; 12] = [
    Probe::RequestStart,
    Probe::RequestEnd,
    Probe::DbAcquireStart,
    Probe::DbQueryStart,
    Probe::DbQueryEnd,
    Probe::CacheHit,
    Probe::FileIoEnd,
    Probe::SpanStart,
    Probe::PgExecuteStart,
    Probe::PgExecuteDone,
    Probe::PgStatementStatus,
    Probe::PgLockWaitStart,
];

/// Few, so that they meet; and any.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..4u64, 1 => any::<u64>()]
}

fn seq() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..600u32, 1 => any::<u32>()]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &str| Just(text.as_bytes().to_vec());
    prop_oneof![
        text("GET /a HTTP/1.1\r\n\r\n"),
        text("POST /a HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n"),
        text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
        text(
            "HTTP/1.1 200 OK\r\nX-Request-ID: 00000000000000000000000000000001\r\nContent-Length: 3\r\n\r\n"
        ),
        text("HTTP/1.1 101 OK\r\n\r\n"),
        Just(prepare("s", "SELECT 1")),
        Just(run("s")),
        Just([simple("ROLLBACK"), sync()].concat()),
        Just(rows(7, 20)),
        Just(ready(b'I')),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

fn send() -> impl Strategy<Value = Body> {
    let protocol = prop_oneof![
        Just(Protocol::Unknown),
        Just(Protocol::Http),
        Just(Protocol::PostgresFrontend),
        Just(Protocol::PostgresBackend)
    ];
    let length = prop_oneof![3 => Just(None), 1 => any::<u32>().prop_map(Some)];
    (
        number(),
        number(),
        number(),
        seq(),
        length,
        protocol,
        bytes(),
        bytes(),
    )
        .prop_map(|(cookie, tid, start, seq, len, protocol, head, tail)| {
            Body::Send(Send {
                cookie: SocketCookie(cookie),
                start: Timestamp(start),
                pid: tid as u32 / 2,
                tid: tid as u32,
                seq,
                len: len.unwrap_or(head.len() as u32),
                protocol,
                head,
                tail,
                transmitted: None,
            })
        })
}

fn socket() -> impl Strategy<Value = Body> {
    let role = prop_oneof![
        Just(SocketRole::Connect),
        Just(SocketRole::Accept),
        Just(SocketRole::Found)
    ];
    (number(), number(), role, 0..3u16, 0..3u16, seq(), seq()).prop_map(
        |(cookie, pid, role, from, to, send_seq, recv_seq)| {
            Body::Socket(Socket {
                cookie: SocketCookie(cookie),
                start: Timestamp(0),
                pid: pid as u32,
                role,
                local: ([127, 0, 0, 1], from).into(),
                peer: ([127, 0, 0, 1], to).into(),
                send_seq,
                recv_seq,
                netns: 1,
            })
        },
    )
}

fn other() -> impl Strategy<Value = Body> {
    let range = (number(), number(), seq(), seq(), seq(), any::<bool>());
    let on_range =
        (range, 0..4u8).prop_map(|((cookie, tid, seq, end_seq, rcv_nxt, late), kind)| {
            let cookie = SocketCookie(cookie);
            match kind {
                0 => Body::Recv(Recv {
                    cookie,
                    pid: tid as u32 / 2,
                    tid: tid as u32,
                    seq,
                    len: end_seq,
                    arrival: None,
                }),
                1 => Body::Arrive(Arrive {
                    cookie,
                    time: Timestamp(u64::from(seq)),
                    seq,
                    end_seq,
                    rcv_nxt,
                    late,
                }),
                2 => Body::Retransmit(Retransmit {
                    cookie,
                    seq,
                    end_seq,
                    segments: 1,
                }),
                _ => Body::Close(Close {
                    cookie,
                    bytes_sent: 0,
                    bytes_retrans: 0,
                    bytes_received: 0,
                    total_retrans: 0,
                }),
            }
        });
    let probe = (
        0..PROBES.len(),
        number(),
        number(),
        number(),
        prop_oneof![Just("SELECT 1"), Just("BEGIN"), Just("é")],
    );
    let probe = probe.prop_map(|(probe, tid, id, argument, text)| {
        Body::Usdt(Usdt {
            probe: PROBES[probe],
            pid: tid as u32 / 2,
            tid: tid as u32,
            args: [0, id, argument, argument, argument, argument],
            text: [text.into(), "".into()],
        })
    });
    let process = (number(), any::<bool>()).prop_map(|(pid, ends)| {
        let change = if ends {
            ProcessChange::Exit
        } else {
            ProcessChange::Fork
        };
        Body::Process(Process {
            change,
            pid: pid as u32,
            parent: 0,
            service: 0,
            comm: "".into(),
        })
    });
    let loss = (number(), number()).prop_map(|(first, last)| {
        Body::Loss(Loss {
            program: 0,
            on_cpu: 0,
            count: 1,
            first: Timestamp(first),
            last: Timestamp(last),
        })
    });
    prop_oneof![6 => on_range, 4 => probe, 1 => process, 1 => loss]
}

fn event() -> impl Strategy<Value = Event> {
    let time =
        prop_oneof![20 => 0..1_000_000_000u64, 2 => 0..100_000_000_000u64, 1 => any::<u64>()];
    let body = prop_oneof![2 => socket(), 4 => send(), 6 => other()];
    (time, body).prop_map(|(time, body)| Event {
        time: Timestamp(time),
        cpu: 0,
        body,
    })
}

proptest! {
    #[test]
    fn any_events_at_all(events in proptest::collection::vec(event(), 0..150)) {
        let options = || Options { max_requests: 3, ..Options::default() };
        let (assembled, _) = assemble(&[], events.clone(), options());
        for assembled in &assembled {
            segments(trace(assembled));
        }
        let (again, _) = assemble(&[], events, options());
        prop_assert!(assembled == again, "the same input gives the same traces");
    }
}
