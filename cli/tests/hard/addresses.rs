//! Other ways to reach each other than TCP over IPv4 from a low sequence number.

use tierscope_model::{SpanKind, attr};

use super::{
    puppet::{Puppet, Socket, request},
    seen::handler,
    stage::Stage,
};

#[test]
fn every_tier_over_ipv6() {
    let Some(stage) = Stage::up(&["--ipv6"]) else {
        return;
    };
    assert!(stage.lab.nginx.is_ipv6());
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let line = client.connect(stage.lab.nginx);
    let paths = [
        "/api/users",
        "/api/users/1",
        "/api/users/1",
        "/api/report/2",
    ];
    let all = paths.map(|path| client.ask(line, "GET", path, &[]));

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    for asked in &all {
        let trace = seen.whole(asked);
        let servers = trace.spans.iter().filter(|s| s.kind == SpanKind::Server);
        for span in servers {
            assert_eq!(
                span.attributes.text(attr::NETWORK_PEER_ADDRESS),
                Some("::1")
            );
        }
    }
}

/// What a Unix socket carries is not seen: the hop is named as not measured, and the handler stands
/// under the nginx that gave its id.
#[test]
fn nginx_reaches_the_app_by_a_unix_socket() {
    let Some(stage) = Stage::up(&["--unix-upstream"]) else {
        return;
    };
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let line = client.connect(stage.lab.nginx);
    let paths = ["/api/users", "/api/users/1", "/api/report/2"];
    let all = paths.map(|path| client.ask(line, "GET", path, &[]));

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    assert_eq!(seen.traces.len(), all.len());
    for asked in &all {
        let trace = seen.trace(asked.id);
        let handler = handler(trace);
        let missing = handler.attributes.text(attr::NOT_MEASURED);
        assert_eq!(missing, Some("nginx → app: no TCP connection was seen"));
        let parent = trace
            .spans
            .iter()
            .find(|s| Some(s.span_id) == handler.parent_id());
        let parent = parent.expect("nginx");
        assert_eq!(
            (parent.kind, &*parent.resource.service),
            (SpanKind::Server, "nginx")
        );
    }
}

/// The client's bytes pass 2^32 within a request's head.
#[test]
fn sequence_numbers_wrap() {
    let Some(stage) = Stage::up(&[]) else { return };
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let length = request("GET", "/api/users/1", &[], "").len() as u32;
    let near = Socket {
        sequence: Some(0u32.wrapping_sub(length * 5 / 2)),
        ..Socket::default()
    };
    let line = match client.connect_with(stage.lab.nginx, near) {
        Ok(line) => line,
        Err(reason) => return println!("skipped: TCP_REPAIR: {reason}"),
    };
    let all =
        [1, 2, 3, 4, 5].map(|user| client.ask(line, "GET", &format!("/api/users/{user}"), &[]));

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    let from = all.each_ref().map(|asked| {
        let range = seen.whole(asked).spans[0]
            .attributes
            .text(attr::REQUEST_RANGE);
        let (_, bytes) = range
            .and_then(|text| text.split_once(':'))
            .expect("a range");
        bytes
            .split_once('-')
            .expect("two ends")
            .0
            .parse::<u32>()
            .expect("a number")
    });
    // The connection's SYN takes one number.
    let expected = [0, 1, 2, 3, 4].map(|n| (1 + n * length).wrapping_sub(length * 5 / 2));
    assert_eq!(from, expected);
}
