//! Loss and limits: what is missing is said, and memory is bounded.

use tierscope_assembler::Options;
use tierscope_model::{Incomplete, Probe, RequestId};

use crate::common::world::{APP, CLIENT, NGINX, World};

fn exchange(world: &mut World, id: u128) {
    let mut conn = world.http([CLIENT, NGINX]);
    world.say(&mut conn, 0, b"GET /a HTTP/1.1\r\n\r\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-Request-ID: {}\r\nContent-Length: 0\r\n\r\n",
        RequestId(id)
    );
    world.say(&mut conn, 1, answer.as_bytes());
    world.close(&conn);
}

#[test]
fn a_loss_marks_the_traces_open_in_its_interval() {
    let mut world = World::new();
    exchange(&mut world, 1);
    let first = world.now;
    world.wait(1);
    exchange(&mut world, 2);
    let last = world.now;
    world.wait(1);
    exchange(&mut world, 3);
    // The tracer reads its counters some time later.
    world.wait(100);
    world.loss(first + 500_000, last);
    let (traces, counts) = world.assemble();
    let marks: Vec<_> = traces
        .iter()
        .map(|t| (t.request_id.map(|id| id.0), t.incomplete.clone()))
        .collect();
    assert_eq!(
        marks,
        [
            (Some(1), vec![]),
            (Some(2), vec![Incomplete::EventLoss]),
            (Some(3), vec![])
        ]
    );
    assert_eq!(counts.lost_events, 1);
}

#[test]
fn beyond_the_limit_the_oldest_request_is_closed_and_counted() {
    let mut world = World::new();
    for id in 1..=10 {
        world.app(APP, Probe::RequestStart, RequestId(id), [0; 2], "GET");
        world.wait(150);
    }
    let (traces, counts) = world.assemble_with(Options {
        max_requests: 4,
        ..Options::default()
    });
    let closed: Vec<_> = traces
        .iter()
        .filter(|t| t.incomplete.contains(&Incomplete::Budget))
        .collect();
    assert_eq!(
        (traces.len(), counts.over_budget as usize),
        (10, closed.len())
    );
    assert!(closed.len() >= 5, "{} were closed", closed.len());
    let ids: Vec<_> = closed
        .iter()
        .filter_map(|t| t.request_id)
        .map(|id| id.0)
        .collect();
    assert!(
        ids.iter().copied().eq(1..=ids.len() as u128),
        "the oldest: {ids:?}"
    );
}

#[test]
fn a_request_that_is_never_quiet_is_closed_after_the_time_allowed() {
    let mut world = World::new();
    for _ in 0..400 {
        world.app(APP, Probe::CacheHit, RequestId(1), [0; 2], "k");
        world.wait(100);
    }
    let (traces, _) = world.assemble();
    assert_eq!(traces.len(), 2, "40 s, of which 32 are allowed");
    assert!(traces[0].incomplete.contains(&Incomplete::NoResponse));
}
