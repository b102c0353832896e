//! What a client may choose of a request's ids, and what not.

use tierscope_model::{Trace, attr};

use crate::support::{Lab, Recording, Scratch, assemble, may_trace};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn a_request_is_keyed_by_the_id_that_nginx_gave() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let recording = Recording::start(&lab, scratch.path("ids.tsrec"), &[]);
    let ask = |headers: &[&str]| {
        let headers: Vec<_> = headers.iter().map(|line| line.as_bytes()).collect();
        let answer = lab.get(b"/api/users/5", &headers);
        assert_eq!(answer.status(), "200");
        answer.request_id()
    };
    let continued = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01");
    let invalid = [
        format!("traceparent: 00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        format!("traceparent: 00-{TRACE}-{}-01", "0".repeat(16)),
        format!("traceparent: ff-{TRACE}-b7ad6b7169203331-01"),
        format!(
            "traceparent: 00-{}-b7ad6b7169203331-01",
            TRACE.to_uppercase()
        ),
        "traceparent: nonsense".to_owned(),
    ];
    let plain = ask(&[]);
    let same = ["X-Request-ID: my-own-id", "X-Trace-Id: my-own-trace"];
    let own = [ask(&same), ask(&same)];
    let forged = ask(&[&format!("X-Request-ID: {plain}")]);
    let shared = [ask(&[&continued]), ask(&[&continued]), ask(&[&continued])];
    let restarted = invalid.each_ref().map(|line| ask(&[line]));
    let (file, _) = (recording.file.clone(), recording.stop());
    let traces = assemble(&file);
    assert_eq!(traces.len(), 12, "one trace per request");
    let trace = |id: &String| one(&traces, id);

    assert_eq!(trace(&plain).trace_id.to_string(), plain);
    assert_eq!(attribute(trace(&plain), attr::CLIENT_REQUEST_ID), None);
    for id in &own {
        assert_eq!(trace(id).trace_id.to_string(), *id);
        let client = |key| attribute(trace(id), key);
        assert_eq!(client(attr::CLIENT_REQUEST_ID), Some("my-own-id"));
        assert_eq!(client(attr::CLIENT_TRACE_ID), Some("my-own-trace"));
    }
    let client = attribute(trace(&forged), attr::CLIENT_REQUEST_ID);
    assert_eq!(client, Some(plain.as_str()), "kept, and not believed");
    for id in &shared {
        assert_eq!(trace(id).trace_id.to_string(), TRACE);
        assert_eq!(attribute(trace(id), attr::REQUEST_ID), Some(id.as_str()));
    }
    for id in &restarted {
        assert_eq!(trace(id).trace_id.to_string(), *id);
    }
}

/// The only trace with this request id.
fn one<'a>(traces: &'a [Trace], id: &str) -> &'a Trace {
    let has_id = |trace: &&Trace| trace.request_id.is_some_and(|own| own.to_string() == id);
    let mut found = traces.iter().filter(has_id);
    let trace = found.next().expect(id);
    assert!(found.next().is_none(), "two traces for {id}");
    assert_eq!(
        trace.incomplete,
        [],
        "whole, though its client is not traced"
    );
    assert!(
        trace
            .spans
            .iter()
            .any(|span| span.resource.service == "app")
    );
    trace
}

fn attribute<'a>(trace: &'a Trace, key: &str) -> Option<&'a str> {
    trace.root().expect("a root").attributes.text(key)
}
