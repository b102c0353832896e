//! A handler whose request came over something that is not seen.

use tierscope_model::{Evidence, Incomplete, Probe, RequestId, Trace, attr};

use crate::common::world::{APP, CLIENT, NGINX, World};

const ID: RequestId = RequestId(7 << 64 | 5);

/// A client asks nginx, which asks the app by a Unix socket.
fn unseen(lose: bool) -> Trace {
    let mut world = World::new();
    let mut front = world.http([CLIENT, NGINX]);
    world.say(&mut front, 0, b"GET /path HTTP/1.1\r\n\r\n");
    world.app(APP, Probe::RequestStart, ID, [0; 2], "GET");
    if lose {
        world.loss(world.now, world.now + 1);
    }
    world.app(APP, Probe::RequestEnd, ID, [200, 0], "");
    let answer = format!("HTTP/1.1 200 OK\r\nX-Request-ID: {ID}\r\nContent-Length: 0\r\n\r\n");
    world.say(&mut front, 1, answer.as_bytes());
    let (mut traces, _) = world.assemble();
    assert_eq!(traces.len(), 1);
    traces.remove(0)
}

#[test]
fn the_handler_stands_under_the_server_that_gave_its_id() {
    let trace = unseen(false);
    assert_eq!(trace.incomplete, []);
    let handler = trace.spans.iter().find(|s| s.name == "handler");
    let handler = handler.expect("a handler");
    let link = handler.parent.as_ref().expect("a parent");
    let parent = trace.spans.iter().find(|s| s.span_id == link.span_id);
    assert_eq!(parent.expect("there").resource.pid, NGINX);
    assert_eq!(link.evidence, Evidence::Probe(ID.to_string().into()));
    let missing = handler.attributes.text(attr::NOT_MEASURED);
    assert!(missing.is_some_and(|text| text.ends_with("no TCP connection was seen")));
}

#[test]
fn after_a_loss_it_stays_an_orphan() {
    let trace = unseen(true);
    assert_eq!(
        trace.incomplete,
        [Incomplete::EventLoss, Incomplete::Orphan]
    );
    let orphans: Vec<_> = trace.orphans().map(|span| &*span.name).collect();
    assert_eq!(orphans, ["handler"]);
}
