//! The way of a message between two processes, how its connection was made, and nginx's steps.

use tierscope_assembler::Options;
use tierscope_model::{
    Accepted, Arrive, Before, Body, Doing, Dropped, Off, Protocol, Recv, RequestId, Retransmit,
    Send, Socket, SocketCookie, SocketRole, Span, SpanKind, Switch, Timestamp, Trace, Transmit,
    attr,
};

use crate::common::world::{APP, CLIENT, Conn, NGINX, World};

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

/// A client's connection to nginx; the answer's writes and what comes after are the test's.
struct Scene {
    world: World,
    conn: Conn,
}

impl Scene {
    fn asked() -> Scene {
        let mut world = World::new();
        let mut conn = world.http([CLIENT, NGINX]);
        world.say(&mut conn, 0, GET.as_bytes());
        Scene { world, conn }
    }

    fn at(&mut self, time: u64, body: Body) {
        self.world.now = time - self.world.step;
        self.world.push(body);
    }

    /// nginx answers with `len` bytes, head included, in a call from `start` to `end`; none leaves within it.
    fn answers(&mut self, len: u32, (start, end): (u64, u64)) -> u32 {
        let seq = self.conn.written[1];
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", len - 60);
        let head = format!("{head:<60}").replace("\r\n\r\n", "\r\nx:");
        let pad = 60 - head.trim_end().len() - 4;
        let head = format!("{}{}\r\n\r\n", head.trim_end(), "y".repeat(pad));
        self.conn.written[1] = seq.wrapping_add(len);
        let send = Send {
            cookie: self.conn.cookies[1],
            start: Timestamp(start),
            pid: NGINX,
            tid: NGINX,
            seq,
            len,
            protocol: Protocol::Http,
            head: head.into_bytes(),
            tail: Vec::new(),
            transmitted: None,
        };
        self.at(end, Body::Send(send));
        seq
    }

    fn leaves(&mut self, seq: u32, end_seq: u32, time: u64) {
        let cookie = self.conn.cookies[1];
        self.at(
            time,
            Body::Transmit(Transmit {
                cookie,
                seq,
                end_seq,
            }),
        );
    }

    fn resent(&mut self, seq: u32, end_seq: u32, time: u64) {
        let cookie = self.conn.cookies[1];
        self.at(
            time,
            Body::Retransmit(Retransmit {
                cookie,
                seq,
                end_seq,
                segments: 1,
            }),
        );
    }

    fn dropped(&mut self, seq: u32, end_seq: u32, time: u64) {
        let cookie = self.conn.cookies[1];
        self.at(
            time,
            Body::Dropped(Dropped {
                cookie,
                seq,
                end_seq,
            }),
        );
    }

    fn comes(&mut self, seq: u32, end_seq: u32, rcv_nxt: u32, time: u64) {
        let cookie = self.conn.cookies[0];
        let arrive = Arrive {
            cookie,
            time: Timestamp(time),
            seq,
            end_seq,
            rcv_nxt,
            late: false,
        };
        self.at(time, Body::Arrive(arrive));
    }

    fn reads(&mut self, time: u64) {
        self.reads_to(self.conn.written[1], time);
    }

    fn reads_to(&mut self, until: u32, time: u64) {
        let seq = self.conn.read[1];
        self.conn.read[1] = until;
        let recv = Recv {
            cookie: self.conn.cookies[0],
            pid: CLIENT,
            tid: CLIENT,
            seq,
            len: until.wrapping_sub(seq),
            arrival: None,
        };
        self.at(time, Body::Recv(recv));
    }

    fn trace(self) -> Trace {
        self.trace_with(Options::default())
    }

    fn trace_with(self, options: Options) -> Trace {
        let (mut traces, counts) = self.world.assemble_with(options);
        assert_eq!(
            (counts.negative_durations, counts.conservation_violations),
            (0, 0)
        );
        assert_eq!(traces.len(), 1);
        traces.remove(0)
    }
}

fn answer_part<'a>(trace: &'a Trace, name: &str) -> &'a Span {
    part(trace, name, "response")
}

fn part<'a>(trace: &'a Trace, name: &str, direction: &str) -> &'a Span {
    let is = |s: &&Span| s.name == name && s.attributes.text(attr::DIRECTION) == Some(direction);
    trace.spans.iter().find(is).expect("the part is there")
}

fn server(trace: &Trace, pid: u32) -> &Span {
    let serves = |s: &&Span| s.kind == SpanKind::Server && s.resource.pid == pid;
    trace.spans.iter().find(serves).expect("the process served")
}

fn named<'a>(trace: &'a Trace, name: &str) -> &'a Span {
    let found = trace.spans.iter().find(|s| s.name == name);
    found.unwrap_or_else(|| panic!("{name} is in {trace:#?}"))
}

fn times(span: &Span) -> (u64, u64) {
    (span.start.0, span.end.0)
}

const T: u64 = 2_000_000_000;

#[test]
fn an_answer_ends_when_its_last_byte_left() {
    let mut scene = Scene::asked();
    let seq = scene.answers(1_060, (T, T + 100));
    scene.leaves(seq, seq + 500, T + 50);
    scene.comes(seq, seq + 500, seq, T + 70);
    scene.leaves(seq + 500, seq + 1_060, T + 900);
    scene.comes(seq + 500, seq + 1_060, seq + 500, T + 950);
    scene.reads(T + 1_000);
    let trace = scene.trace();
    assert_eq!(times(answer_part(&trace, "send")), (T, T + 900));
    assert_eq!(times(answer_part(&trace, "wire")), (T + 900, T + 950));
    assert_eq!(
        times(answer_part(&trace, "receive queue")),
        (T + 950, T + 1_000)
    );
    assert_eq!(server(&trace, NGINX).end, Timestamp(T + 900));
    for span in [server(&trace, NGINX), answer_part(&trace, "send")] {
        assert_eq!(
            span.attributes.int(attr::UNSENT_NS),
            Some(800),
            "{}",
            span.name
        );
    }
    assert_eq!(
        part(&trace, "send", "request")
            .attributes
            .int(attr::UNSENT_NS),
        None
    );
}

#[test]
fn an_answer_that_its_reader_lets_lie_waits_for_it_at_the_sender() {
    const MS: u64 = 1_000_000;
    let mut scene = Scene::asked();
    let seq = scene.answers(3_060, (T, T + 100));
    for (part, ms) in [(0, 0), (1_000, 30), (2_000, 60)] {
        let (lo, hi) = (
            seq + part,
            seq + part + if part == 2_000 { 1_060 } else { 1_000 },
        );
        scene.leaves(lo, hi, T + ms * MS + 50);
        scene.comes(lo, hi, lo, T + ms * MS + 70);
        scene.reads_to(hi, T + (ms + 30) * MS);
    }
    let trace = scene.trace();
    let send = answer_part(&trace, "send");
    assert_eq!(times(send), (T, T + 60 * MS + 50));
    let full = answer_part(&trace, "receive queue full");
    assert_eq!(times(full), (T + 70, T + 60 * MS));
    assert_eq!(full.parent_id(), Some(send.span_id));
    assert_eq!(full.resource.pid, CLIENT);
    let queue = answer_part(&trace, "receive queue");
    assert_eq!(times(queue), (T + 60 * MS + 70, T + 90 * MS));
}

#[test]
fn a_packet_that_its_own_host_dropped_is_sent_later() {
    const MS: u64 = 1_000_000;
    let mut scene = Scene::asked();
    let seq = scene.answers(2_060, (T, T + 100));
    scene.leaves(seq, seq + 1_000, T + 20);
    scene.comes(seq, seq + 1_000, seq, T + 30);
    scene.dropped(seq + 1_000, seq + 2_060, T + 40);
    // TCP's first trial fails as well.
    scene.dropped(seq + 1_000, seq + 2_060, T + 200 * MS);
    scene.leaves(seq + 1_000, seq + 2_060, T + 600 * MS);
    scene.comes(seq + 1_000, seq + 2_060, seq + 1_000, T + 600 * MS + 20);
    scene.reads(T + 601 * MS);
    let trace = scene.trace();
    let send = answer_part(&trace, "send");
    assert_eq!(times(send), (T, T + 600 * MS));
    let failure = answer_part(&trace, "send failure");
    assert_eq!(times(failure), (T + 40, T + 600 * MS));
    assert_eq!(failure.parent_id(), Some(send.span_id));
    assert_eq!(failure.resource.pid, NGINX);
    assert_eq!(failure.attributes.int(attr::DROPPED), Some(2));
}

#[test]
fn what_was_dropped_and_not_seen_to_leave_failed_until_it_came() {
    let mut scene = Scene::asked();
    let seq = scene.answers(1_060, (T, T + 100));
    scene.dropped(seq, seq + 1_060, T + 40);
    scene.comes(seq, seq + 1_060, seq, T + 900);
    scene.reads(T + 1_000);
    let trace = scene.trace();
    let transfer = answer_part(&trace, "transfer");
    let failure = answer_part(&trace, "send failure");
    assert_eq!(times(failure), (T + 40, T + 900));
    assert_eq!(failure.parent_id(), Some(transfer.span_id));
}

#[test]
fn an_answer_that_is_written_late_waits_for_nobody() {
    const MS: u64 = 1_000_000;
    let mut scene = Scene::asked();
    let seq = scene.answers(1_060, (T, T + 100));
    scene.leaves(seq, seq + 500, T + 50);
    scene.comes(seq, seq + 500, seq, T + 70);
    scene.reads_to(seq + 500, T + 30 * MS);
    // The reader was late, but what held the rest back was not that.
    scene.leaves(seq + 500, seq + 1_060, T + 80);
    scene.comes(seq + 500, seq + 1_060, seq + 500, T + 90 * MS);
    scene.reads(T + 91 * MS);
    let trace = scene.trace();
    assert!(trace.spans.iter().all(|s| s.name != "receive queue full"));
}

#[test]
fn an_answer_to_a_client_that_is_not_traced_ends_so_too() {
    let mut scene = Scene::asked();
    let seq = scene.answers(1_060, (T, T + 100));
    scene.leaves(seq, seq + 1_060, T + 900);
    let client = scene.conn.cookies[0];
    scene.world.events.retain(|event| match &event.body {
        Body::Socket(socket) => socket.cookie != client,
        Body::Send(send) => send.cookie != client,
        Body::Transmit(transmit) => transmit.cookie != client,
        _ => true,
    });
    scene.world.wait(2_000);
    let trace = scene.trace();
    assert_eq!(trace.spans[0].end, Timestamp(T + 900));
    assert!(trace.incomplete.is_empty(), "{:?}", trace.incomplete);
}

#[test]
fn a_lost_segment_costs_what_its_hole_kept_from_the_reader() {
    let mut scene = Scene::asked();
    let seq = scene.answers(3_000, (T, T + 100));
    for at in 0..3 {
        let lo = seq + at * 1_000;
        scene.leaves(lo, lo + 1_000, T + 10 * (1 + u64::from(at)));
    }
    scene.comes(seq, seq + 1_000, seq, T + 110);
    scene.comes(seq + 2_000, seq + 3_000, seq + 1_000, T + 150);
    scene.resent(seq + 1_000, seq + 2_000, T + 5_000);
    scene.comes(seq + 1_000, seq + 2_000, seq + 1_000, T + 5_100);
    scene.reads(T + 5_200);
    let trace = scene.trace();
    let wire = answer_part(&trace, "wire");
    assert_eq!(times(wire), (T + 30, T + 5_100));
    let int = |key| wire.attributes.int(key);
    assert_eq!(
        (int(attr::RETRANSMITS), int(attr::RETRANSMIT_BYTES)),
        (Some(1), Some(1_000))
    );
    assert_eq!(int(attr::RETRANSMIT_SPURIOUS), None);
    let hole = named(&trace, "retransmit hole");
    assert_eq!(hole.parent_id(), Some(wire.span_id));
    let due = T + 20 + 100;
    assert_eq!(times(hole), (due, T + 5_100), "100 is the wire's own time");
    assert_eq!(
        int(attr::RETRANSMIT_HOLE_NS),
        Some((T + 5_100 - due) as i64)
    );
}

#[test]
fn a_tail_loss_probe_costs_nothing() {
    let mut scene = Scene::asked();
    let seq = scene.answers(1_060, (T, T + 100));
    scene.leaves(seq, seq + 1_060, T + 10);
    scene.comes(seq, seq + 1_060, seq, T + 20);
    scene.resent(seq + 500, seq + 1_060, T + 3_000);
    scene.comes(seq + 500, seq + 1_060, seq + 1_060, T + 3_020);
    scene.reads(T + 9_000);
    let trace = scene.trace();
    let wire = answer_part(&trace, "wire");
    let int = |key| wire.attributes.int(key);
    assert_eq!(
        (
            int(attr::RETRANSMIT_SPURIOUS),
            int(attr::RETRANSMIT_HOLE_NS)
        ),
        (Some(1), Some(0))
    );
    assert!(trace.spans.iter().all(|s| s.name != "retransmit hole"));
    assert_eq!(wire.duration(), 10);
}

#[test]
fn what_a_kernel_cannot_tell_is_said() {
    let mut scene = Scene::asked();
    let seq = scene.answers(1_060, (T, T + 100));
    scene.comes(seq, seq + 1_060, seq, T + 950);
    scene.reads(T + 1_000);
    scene.world.events.retain_mut(|event| {
        if let Body::Send(send) = &mut event.body {
            send.transmitted = None;
        }
        !matches!(event.body, Body::Transmit(_))
    });
    let options = Options {
        unmeasured: vec!["packet leaves".to_owned()],
        ..Options::default()
    };
    let trace = scene.trace_with(options);
    let transfer = answer_part(&trace, "transfer");
    assert_eq!(times(transfer), (T, T + 950));
    let words = transfer.attributes.text(attr::NOT_MEASURED);
    assert!(words.is_some_and(|w| w.starts_with("send and wire: not measured apart")));
    let root = trace.spans[0].attributes.text(attr::NOT_MEASURED);
    assert_eq!(root, Some("packet leaves: not measured"));
    assert!(trace.spans.iter().all(|s| s.name != "wire"));
}

#[test]
fn an_arrival_that_was_not_seen_is_said() {
    let mut scene = Scene::asked();
    let seq = scene.answers(1_060, (T, T + 100));
    scene.leaves(seq, seq + 1_060, T + 10);
    scene.reads(T + 1_000);
    let trace = scene.trace();
    let wire = answer_part(&trace, "wire");
    assert_eq!(times(wire), (T + 10, T + 1_000));
    let words = wire.attributes.text(attr::NOT_MEASURED);
    assert!(words.is_some_and(|w| w.starts_with("receive queue: not measured")));
}

/// nginx reads a request, connects to the app for it, and answers the client.
fn proxied() -> (Trace, Conn) {
    let mut world = World::new();
    let id = RequestId(7);
    let mut front = world.http([CLIENT, NGINX]);
    world.say(&mut front, 0, GET.as_bytes());
    world.now = T;
    let mut back = world.http([NGINX, APP]);
    // The SYN left 5 µs before it was established.
    for event in &mut world.events {
        if let Body::Socket(Socket {
            start,
            cookie,
            role: SocketRole::Connect,
            ..
        }) = &mut event.body
            && *cookie == back.cookies[0]
        {
            *start = Timestamp(T - 4_000);
        }
    }
    let ask = format!("GET /a HTTP/1.1\r\nX-Request-ID: {id}\r\n\r\n");
    world.write(&mut back, 0, NGINX, ask.as_bytes());
    let cookie: SocketCookie = back.cookies[1];
    let woken = Timestamp(world.now + 5_000);
    world.now += 20_000;
    world.push(Body::Switch(Switch {
        pid: APP,
        tid: APP,
        off_at: Some(Timestamp(T - 5_000)),
        woken_at: Some(woken),
        off: Off::Sleeping,
        syscall: None,
        wait_event: 0,
        before: Before::default(),
        gap: false,
        unseen: false,
        throttled: false,
    }));
    world.push(Body::Accepted(Accepted {
        cookie,
        pid: APP,
        tid: APP,
    }));
    world.read(&mut back, 1, APP);
    let answer = format!("HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\nContent-Length: 0\r\n\r\n");
    world.say(&mut back, 1, answer.as_bytes());
    world.say(&mut front, 1, answer.as_bytes());
    let (mut traces, _) = world.assemble();
    assert_eq!(traces.len(), 1);
    (traces.remove(0), back)
}

#[test]
fn a_connection_made_for_a_request_is_its_span() {
    let (trace, back) = proxied();
    let nginx = server(&trace, NGINX);
    let connect = named(&trace, "connect");
    assert_eq!(connect.parent_id(), Some(nginx.span_id));
    assert_eq!(times(connect), (T - 4_000, T + 1_000));
    let accept = named(&trace, "accept");
    let queue = trace
        .spans
        .iter()
        .find(|s| Some(s.span_id) == accept.parent_id());
    let queue = queue.expect("its parent is there");
    assert_eq!(
        (queue.name.as_str(), queue.resource.pid),
        ("receive queue", back.pids[1])
    );
    assert_eq!(accept.start, queue.start);
    assert!(accept.end < queue.end, "it was read after that");
    let did: Vec<_> = accept.slices.iter().map(|slice| slice.doing).collect();
    assert_eq!(did, [Doing::Waiting, Doing::Runnable, Doing::Running]);
}

#[test]
fn the_steps_of_nginx_are_told() {
    let (trace, _) = proxied();
    let nginx = server(&trace, NGINX);
    let keys = [
        attr::NGINX_REQUEST_READ_NS,
        attr::NGINX_UPSTREAM_CHOSEN_NS,
        attr::NGINX_CONNECTED_NS,
        attr::NGINX_REQUEST_SENT_NS,
        attr::NGINX_HEAD_RECEIVED_NS,
        attr::NGINX_BODY_RECEIVED_NS,
        attr::NGINX_RESPONSE_BEGUN_NS,
        attr::NGINX_RESPONSE_SENT_NS,
    ];
    let steps: Vec<i64> = keys
        .iter()
        .map(|key| nginx.attributes.int(key).unwrap_or_else(|| panic!("{key}")))
        .collect();
    assert!(steps.is_sorted(), "{steps:?}");
    assert_eq!(steps[7], nginx.duration() as i64);
    for name in ["choose upstream", "relay", "send response"] {
        assert_eq!(
            named(&trace, name).parent_id(),
            Some(nginx.span_id),
            "{name}"
        );
    }
    assert_eq!(named(&trace, "choose upstream").start, nginx.start);
    assert_eq!(named(&trace, "send response").end, nginx.end);
}
