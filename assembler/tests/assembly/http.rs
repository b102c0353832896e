//! HTTP connections: how messages are cut and requests keyed.

use std::{collections::BTreeSet, net::SocketAddr};

use tierscope_model::{Incomplete, Protocol, RequestId, Status, Trace, attr};

use crate::common::world::{APP, CLIENT, Conn, NGINX, World};

/// A client's connection to nginx, and what each of its exchanges becomes.
fn talk(lines: &[(usize, &str)]) -> (Vec<Trace>, tierscope_assembler::Counts) {
    let mut world = World::new();
    let mut conn = world.http([CLIENT, NGINX]);
    for (end, text) in lines {
        world.say(&mut conn, *end, text.as_bytes());
    }
    world.close(&conn);
    world.assemble()
}

/// Method, status and the bytes of both messages, in order.
fn summary(traces: &[Trace]) -> Vec<(String, i64, i64, i64)> {
    let mut traces: Vec<_> = traces.iter().collect();
    traces.sort_by_key(|t| t.root().map(|s| s.start));
    let bytes = |trace: &Trace, direction: &str| {
        let part = trace
            .spans
            .iter()
            .find(|s| s.attributes.text(attr::DIRECTION) == Some(direction));
        part.and_then(|s| s.attributes.int(attr::BYTES))
            .unwrap_or(0)
    };
    let one = |trace: &&Trace| {
        let status = trace.spans[0]
            .attributes
            .int(attr::HTTP_RESPONSE_STATUS_CODE)
            .unwrap_or(0);
        (
            trace.endpoint.clone(),
            status,
            bytes(trace, "request"),
            bytes(trace, "response"),
        )
    };
    traces.iter().map(one).collect()
}

fn is_whole(trace: &Trace) -> bool {
    trace.incomplete.is_empty() && trace.spans[0].status == Status::Unset
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn len(text: &str) -> i64 {
    text.len() as i64
}

#[test]
fn a_body_without_length_ends_with_the_connection() {
    let get = "GET /a HTTP/1.0\r\n\r\n";
    let (traces, _) = talk(&[(0, get), (1, "HTTP/1.0 200 OK\r\n\r\nhello"), (1, " world")]);
    assert_eq!(summary(&traces), [("GET /a".to_owned(), 200, len(get), 30)]);
    assert!(is_whole(&traces[0]));
}

#[test]
fn a_head_may_span_sends_at_any_byte() {
    for at in 1..GET.len() {
        let (traces, counts) = talk(&[(0, &GET[..at]), (0, &GET[at..]), (1, EMPTY)]);
        assert_eq!(
            summary(&traces),
            [("GET /a".to_owned(), 200, len(GET), len(EMPTY))],
            "split at {at}"
        );
        assert!(
            is_whole(&traces[0]) && counts.http_unparsed == 0,
            "split at {at}"
        );
    }
    for at in 1..EMPTY.len() {
        let (traces, _) = talk(&[(0, GET), (1, &EMPTY[..at]), (1, &EMPTY[at..])]);
        assert_eq!(
            summary(&traces),
            [("GET /a".to_owned(), 200, len(GET), len(EMPTY))],
            "split at {at}"
        );
    }
}

#[test]
fn pipelined_requests_in_one_send_get_their_answers_in_order() {
    let requests = "GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzGET /c HTTP/1.1\r\n\r\n";
    let answers =
        "HTTP/1.1 201 A\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 202 B\r\nContent-Length: 0\r\n\r\n";
    let (traces, _) = talk(&[
        (0, requests),
        (1, answers),
        (1, "HTTP/1.1 203 C\r\nContent-Length: 0\r\n\r\n"),
    ]);
    let got: Vec<_> = summary(&traces)
        .into_iter()
        .map(|(endpoint, status, ..)| (endpoint, status))
        .collect();
    let wanted = [("GET /a", 201), ("POST /b", 202), ("GET /c", 203)];
    assert_eq!(
        got,
        wanted.map(|(endpoint, status)| (endpoint.to_owned(), status))
    );
    assert!(traces.iter().all(is_whole));
}

#[test]
fn chunks_end_exactly_where_they_were_captured() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n";
    let two = format!("{chunked}{EMPTY}");
    let (traces, _) = talk(&[(0, &GET.repeat(2)), (1, &two)]);
    let wanted =
        [len(chunked), len(EMPTY)].map(|bytes| ("GET /a".to_owned(), 200, len(GET), bytes));
    assert_eq!(summary(&traces), wanted);
    assert!(traces.iter().all(is_whole));
}

#[test]
fn chunks_beyond_the_capture_end_with_the_send_that_says_so() {
    let body = format!("1000\r\n{}\r\n0\r\n\r\n", "x".repeat(4096));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for lines in [
        vec![head.to_owned() + &body],
        vec![head.to_owned(), body.clone()],
    ] {
        let mut talked = vec![(0, GET)];
        talked.extend(lines.iter().map(|line| (1, line.as_str())));
        talked.extend([(0, GET), (1, EMPTY)]);
        let (traces, _) = talk(&talked);
        let sizes: Vec<_> = summary(&traces).into_iter().map(|s| s.3).collect();
        assert_eq!(sizes, [len(head) + len(&body), len(EMPTY)]);
        assert!(traces.iter().all(is_whole));
    }
}

#[test]
fn answers_without_a_body() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n";
    let no_content = "HTTP/1.1 204 No Content\r\n\r\n";
    let unchanged = "HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n";
    let ask = "HEAD /a HTTP/1.1\r\n\r\n";
    let (traces, _) = talk(&[
        (0, ask),
        (1, head),
        (0, GET),
        (1, no_content),
        (0, GET),
        (1, unchanged),
    ]);
    let got: Vec<_> = summary(&traces).into_iter().map(|s| (s.1, s.3)).collect();
    assert_eq!(
        got,
        [
            (200, len(head)),
            (204, len(no_content)),
            (304, len(unchanged))
        ]
    );
    assert!(traces.iter().all(is_whole));
}

#[test]
fn continue_is_no_answer() {
    let post = "POST /a HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let (traces, _) = talk(&[
        (0, post),
        (1, "HTTP/1.1 100 Continue\r\n\r\n"),
        (0, "hello"),
        (1, EMPTY),
    ]);
    assert_eq!(
        summary(&traces),
        [("POST /a".to_owned(), 200, len(post) + 5, len(EMPTY))]
    );
    assert!(is_whole(&traces[0]));
}

#[test]
fn switching_protocols_is_the_last_answer() {
    let answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let (traces, counts) = talk(&[
        (0, GET),
        (1, answer),
        (1, "\x01\x02"),
        (0, "GET /no HTTP/1.1\r\n\r\n"),
    ]);
    assert_eq!(
        summary(&traces),
        [("GET /a".to_owned(), 101, len(GET), len(answer))]
    );
    assert!(is_whole(&traces[0]) && counts.http_unparsed == 0);
}

#[test]
fn a_tunnel_holds_no_messages() {
    let (traces, counts) = talk(&[
        (0, "CONNECT x:1 HTTP/1.1\r\n\r\n"),
        (1, "HTTP/1.1 200 OK\r\n\r\n"),
        (0, "noise"),
        (1, "noise"),
    ]);
    assert_eq!(summary(&traces)[0].1, 200);
    assert!(traces.len() == 1 && is_whole(&traces[0]) && counts.http_unparsed == 0);
}

#[test]
fn an_aborted_connection_is_an_error() {
    let (traces, _) = talk(&[(0, GET)]);
    assert_eq!(traces[0].incomplete, [Incomplete::ConnectionClosed]);
    assert_eq!(traces[0].spans[0].status, Status::Error("closed".into()));
    let (traces, _) = talk(&[
        (0, GET),
        (1, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
    ]);
    assert_eq!(traces[0].incomplete, [Incomplete::ConnectionClosed]);
    assert_eq!(traces[0].spans[0].status, Status::Error("closed".into()));
}

#[test]
fn an_answer_without_a_request_is_marked_and_counted() {
    let (traces, counts) = talk(&[
        (0, GET),
        (1, EMPTY),
        (1, "HTTP/1.1 408 Too Late\r\nContent-Length: 0\r\n\r\n"),
    ]);
    assert_eq!(counts.unasked, 1);
    let late = traces
        .iter()
        .find(|t| t.incomplete == [Incomplete::NoRequest])
        .expect("it has a trace");
    assert_eq!(late.spans[0].status, Status::Error("no request".into()));
    assert_eq!(
        late.spans[0]
            .attributes
            .int(attr::HTTP_RESPONSE_STATUS_CODE),
        Some(408)
    );
}

#[test]
fn a_request_unanswered_for_30_seconds_is_marked_and_counted_once() {
    let mut world = World::new();
    let mut conn = world.http([CLIENT, NGINX]);
    let mut other = world.http([CLIENT, NGINX]);
    world.say(&mut conn, 0, GET.as_bytes());
    for _ in 0..40 {
        world.wait(1_000);
        world.say(&mut other, 0, GET.as_bytes());
        world.say(&mut other, 1, EMPTY.as_bytes());
    }
    world.say(
        &mut conn,
        1,
        b"HTTP/1.1 504 Late\r\nContent-Length: 0\r\n\r\n",
    );
    world.say(&mut conn, 0, GET.as_bytes());
    world.say(&mut conn, 1, EMPTY.as_bytes());
    let (traces, counts) = world.assemble();
    assert_eq!((traces.len(), counts.unanswered), (42, 1));
    let overdue = traces
        .iter()
        .find(|t| t.incomplete == [Incomplete::NoResponse])
        .expect("it is marked");
    assert_eq!(overdue.spans[0].status, Status::Error("timeout".into()));
    assert!(overdue.duration() >= 30_000_000_000);
    assert!(
        !traces
            .iter()
            .any(|t| t.spans[0].attributes.int(attr::HTTP_RESPONSE_STATUS_CODE) == Some(504))
    );
}

#[test]
fn an_answer_may_come_before_the_body() {
    let post = "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
    let refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    let (traces, counts) = talk(&[
        (0, post),
        (1, refusal),
        (0, "0123456789"),
        (0, GET),
        (1, EMPTY),
    ]);
    let got: Vec<_> = summary(&traces).into_iter().map(|s| s.1).collect();
    assert_eq!(got, [413, 200]);
    assert!(traces.iter().all(is_whole));
    assert_eq!(counts.conservation_violations, 0);
    let (traces, _) = talk(&[(0, post), (1, refusal)]);
    assert_eq!(traces[0].incomplete, [Incomplete::ConnectionClosed]);
    assert_eq!(traces[0].spans[0].status, Status::Unset, "it was answered");
}

#[test]
fn noise_in_an_answers_place_joins_nothing_wrong() {
    let (traces, counts) = talk(&[
        (0, GET),
        (1, "noise"),
        (0, "GET /b HTTP/1.1\r\n\r\n"),
        (1, EMPTY),
    ]);
    assert_eq!(counts.http_unparsed, 1);
    assert!(
        summary(&traces)
            .iter()
            .all(|s| s.1 == 0 || s.0 == "HTTP answer without a request"),
        "{:?}",
        summary(&traces)
    );
}

/// One request through nginx to the app; the client's own header lines come first.
fn through_nginx(world: &mut World, front: &mut Conn, back: &mut Conn, own: &str, id: RequestId) {
    world.say(front, 0, format!("GET /a HTTP/1.1\r\n{own}\r\n").as_bytes());
    let traceparent = own
        .lines()
        .find(|line| line.starts_with("traceparent"))
        .unwrap_or("x: y");
    world.say(
        back,
        0,
        format!("GET /a HTTP/1.1\r\nX-Request-ID: {id}\r\n{traceparent}\r\n\r\n").as_bytes(),
    );
    let answer = format!("HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\nContent-Length: 0\r\n\r\n");
    world.say(back, 1, answer.as_bytes());
    world.say(front, 1, answer.as_bytes());
}

#[test]
fn what_a_client_chose_keys_nothing() {
    let mut world = World::new();
    let (mut front, mut back) = (world.http([CLIENT, NGINX]), world.http([NGINX, APP]));
    let chosen = "11111111111111111111111111111111";
    let own = format!("X-Request-ID: {chosen}\r\ntraceparent: 00-{chosen}-1111111111111111-01\r\n");
    for id in 1..=3 {
        through_nginx(
            &mut world,
            &mut front,
            &mut back,
            &own,
            RequestId(id << 64 | 5),
        );
    }
    let (traces, _) = world.assemble();
    let mut ids: Vec<_> = traces
        .iter()
        .map(|t| t.request_id.expect("nginx gave one").0 >> 64)
        .collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        [1, 2, 3],
        "one traceparent for all does not merge them"
    );
    assert!(
        traces
            .iter()
            .all(|t| t.trace_id.to_string() == chosen && is_whole(t))
    );
    assert!(
        traces
            .iter()
            .all(|t| t.spans.iter().filter(|s| s.parent.is_none()).count() == 1)
    );
}

#[test]
fn an_echo_of_the_clients_id_keys_nothing_either() {
    let id = "22222222222222222222222222222222";
    let ask = format!("GET /a HTTP/1.1\r\nX-Request-ID: {id}\r\n\r\n");
    let answer = format!("HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\nContent-Length: 0\r\n\r\n");
    let (traces, _) = talk(&[(0, &ask), (1, &answer), (0, &ask), (1, &answer)]);
    assert_eq!(traces.len(), 2);
    assert!(traces.iter().all(|t| t.request_id.is_none() && is_whole(t)));
}

#[test]
fn ipv6_and_a_reused_address_pair() {
    let mut world = World::new();
    let at = ["[2001:db8::1]:4000", "[2001:db8::2]:80"].map(|a| a.parse().expect("an address"));
    for _ in 0..2 {
        // The first pair of sockets never says that it closed.
        let mut conn = world.connect_at(at, [CLIENT, NGINX], [Protocol::Http; 2], [7, 9]);
        world.say(&mut conn, 0, GET.as_bytes());
        world.say(&mut conn, 1, EMPTY.as_bytes());
    }
    let (traces, _) = world.assemble();
    assert_eq!(traces.len(), 2);
    for trace in &traces {
        assert!(
            is_whole(trace) && trace.spans.len() == 8,
            "both ends and six parts"
        );
        assert_eq!(
            trace.spans[0].attributes.text(attr::NETWORK_PEER_ADDRESS),
            Some("2001:db8::2")
        );
    }
}

#[test]
fn the_same_addresses_in_other_namespaces_are_other_connections() {
    let mut world = World::new();
    let at = [
        SocketAddr::from(([10, 0, 0, 1], 40_000)),
        SocketAddr::from(([10, 0, 0, 2], 80)),
    ];
    let http = [Protocol::Http; 2];
    let mut conns =
        [[1_000, 2_000], [7_000, 9_000]].map(|seq| world.conn([CLIENT, NGINX], http, seq));
    // Both clients first: their servers' addresses fit either.
    for (end, conn, netns) in [(0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 4)] {
        world.announce(&conns[conn], end, at, netns);
    }
    for (end, conn, text) in [(0, 0, GET), (0, 1, GET), (1, 1, EMPTY), (1, 0, EMPTY)] {
        world.say(&mut conns[conn], end, text.as_bytes());
    }
    conns.iter().for_each(|conn| world.close(conn));
    let (traces, counts) = world.assemble();
    assert_eq!((traces.len(), counts.orphan_spans), (2, 0));
    assert!(traces.iter().all(is_whole));
    let cookies = traces.iter().map(|trace| {
        let range = trace.spans[0].attributes.text(attr::REQUEST_RANGE);
        range
            .and_then(|text| text.split(':').next())
            .expect("a range")
    });
    let joined: BTreeSet<_> = cookies.collect();
    let cookies = conns.map(|conn| format!("{}>{}", conn.cookies[0].0, conn.cookies[1].0));
    assert_eq!(joined, cookies.iter().map(String::as_str).collect());
}
