//! Answers larger than a socket's buffers.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use tierscope_model::{SpanKind, attr};

use super::{
    connections::range_length,
    puppet::{Puppet, Socket, length, request},
    seen::Asked,
    stage::Stage,
};
use crate::support::Answer;

const PATH: &str = "/api/users/7/orders";
/// Longer than the client waits for anything else.
const PAUSE: Duration = Duration::from_millis(300);

/// Makes an answer of some 4 MB for each of a user's ten orders' products: more than the client's
/// buffer and what nginx's grows to for such a client.
pub const LONG_NAMES: &str = "UPDATE products SET name = repeat('long name ', 40000)
    WHERE id IN (SELECT product_id FROM orders WHERE user_id = 7)";

#[test]
fn an_answer_larger_than_the_buffers_read_at_once_and_slowly() {
    let Some(stage) = Stage::up(&[]) else { return };
    stage.lab.sql(LONG_NAMES);
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let line = client.connect(stage.lab.nginx);
    let fast = client.ask(line, "GET", PATH, &[]);

    let small = Socket {
        receive_buffer: Some(4096),
        ..Socket::default()
    };
    let line = client
        .connect_with(stage.lab.nginx, small)
        .expect("connected");
    let begun = Instant::now();
    client.send(line, &request("GET", PATH, &[], ""));
    sleep(PAUSE);
    let head = client.head(line);
    let body = length(&head);
    assert!(body > 3_000_000, "{body} bytes");
    client.drain(line, body, 16 << 10, Duration::from_micros(1500));
    let took = begun.elapsed();
    let slow = Asked::new("GET", PATH, &Answer(head.clone()));
    let after = client.ask(line, "GET", "/api/users/8", &[]);

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    for asked in [&fast, &slow, &after] {
        seen.whole(asked);
    }
    let trace = seen.trace(slow.id);
    let range = trace.spans[0].attributes.text(attr::RESPONSE_RANGE);
    assert_eq!(range_length(range), head.len() + body);
    let whole = u128::from(trace.duration());
    assert!(
        whole.abs_diff(took.as_nanos()) < 50_000_000,
        "{whole} ns, {took:?}"
    );
    // It could not all be written before the client began to read.
    let mut servers = trace.spans.iter().filter(|s| s.kind == SpanKind::Server);
    let proxy = servers
        .find(|s| s.resource.service == "nginx")
        .expect("nginx");
    assert!(u128::from(proxy.duration()) > PAUSE.as_nanos());
}
