//! Inside a server that passes requests on: its steps, from the byte ranges of both of its connections.
//!
//! One worker serves many requests at once, so its threads say nothing of a step; the bytes do, under
//! keep-alive and pipelining as well. The same times stand on the server's span as attributes.

use std::sync::Arc;

use tierscope_model::{Evidence, Link, Resource, SmolStr, Span, Timestamp, attr};

use crate::exchange::Exchange;
use crate::process::Processes;
use crate::setup::connect_span;
use crate::span_id::derive;
use crate::tree::internal;

/// Adds the steps of `server`, the span of `outer`'s server, which passed the request on by `inner`, in
/// order of time; there are several where an upstream failed.
pub(crate) fn spans(
    outer: &Exchange,
    inner: &[&Exchange],
    server: &mut Span,
    id: &SmolStr,
    processes: &Processes,
) -> Vec<Span> {
    let mut steps = Steps {
        server,
        id,
        out: Vec::new(),
    };
    steps.request(outer);
    for (at, exchange) in inner.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| inner[before]);
        steps.upstream(outer, before, exchange, processes);
    }
    if let Some(last) = inner.last() {
        steps.relay(outer, last);
    }
    steps.answer(outer);
    steps.out
}

/// When the file write that ends a request (its line in the access log) was done, on its server's span.
pub(crate) fn note_finish(outer: &Exchange, server: &mut Span, files: &[Span]) {
    let Some(sent) = outer.response.as_ref().and_then(|r| r.last_write) else {
        return;
    };
    let after = files.iter().filter(|file| file.start >= sent);
    if let Some(end) = after.map(|file| file.end).max() {
        let server_start = server.start;
        server
            .attributes
            .set(attr::NGINX_FINISHED_NS, end.since(server_start));
    }
}

struct Steps<'a> {
    server: &'a mut Span,
    id: &'a SmolStr,
    out: Vec<Span>,
}

impl Steps<'_> {
    /// Head read → last byte read.
    fn request(&mut self, outer: &Exchange) {
        let Some(request) = &outer.request else {
            return;
        };
        self.note(attr::NGINX_REQUEST_READ_NS, request.last_read);
        self.step("read request", request.head_read, request.last_read);
    }

    /// Request read (or the attempt before over) → connecting, or the first byte upstream.
    fn upstream(
        &mut self,
        outer: &Exchange,
        before: Option<&Exchange>,
        inner: &Exchange,
        processes: &Processes,
    ) {
        let link = self.link();
        let connect = connect_span(inner, self.server, link, processes);
        let asked = inner.request.as_ref();
        let chosen = connect.as_ref().map(|span| span.start);
        let chosen = chosen.or(asked.and_then(|request| request.first_write));
        let read = outer.request.as_ref().and_then(|r| {
            r.last_read
                .filter(|read| Some(*read) <= chosen)
                .or(r.head_read)
        });
        let from = match before {
            Some(before) => before.client_times().map(|times| times.1),
            None => read,
        };
        self.step("choose upstream", from, chosen);
        self.note(attr::NGINX_UPSTREAM_CHOSEN_NS, chosen);
        self.note(attr::NGINX_CONNECTED_NS, connect.as_ref().map(|c| c.end));
        self.note(attr::NGINX_REQUEST_SENT_NS, asked.and_then(|r| r.sent()));
        self.out.extend(connect);
    }

    /// First byte of the upstream's answer read → first byte to the client.
    fn relay(&mut self, outer: &Exchange, inner: &Exchange) {
        let Some(answer) = &inner.response else {
            return;
        };
        self.note(attr::NGINX_HEAD_RECEIVED_NS, answer.head_read);
        self.note(attr::NGINX_BODY_RECEIVED_NS, answer.last_read);
        let first = outer.response.as_ref().and_then(|r| r.first_write);
        self.step("relay", answer.first_read, first);
    }

    /// First byte to the client → the last one left.
    fn answer(&mut self, outer: &Exchange) {
        let Some(response) = &outer.response else {
            return;
        };
        self.note(attr::NGINX_RESPONSE_BEGUN_NS, response.first_write);
        self.note(attr::NGINX_RESPONSE_SENT_NS, response.sent());
        self.step("send response", response.first_write, response.sent());
    }

    /// A step that took time; it lies within the server's span.
    fn step(&mut self, name: &'static str, start: Option<Timestamp>, end: Option<Timestamp>) {
        let Some((start, end)) = start.zip(end) else {
            return;
        };
        let (start, end) = (start.max(self.server.start), end.min(self.server.end));
        if start < end {
            let id = derive(name, &[self.server.span_id.0, start.0]);
            let resource: Arc<Resource> = self.server.resource.clone();
            let link = Some(self.link());
            self.out
                .push(internal(id, link, name, (start, end), resource));
        }
    }

    /// A time as nanoseconds since the head was read.
    fn note(&mut self, key: &'static str, time: Option<Timestamp>) {
        let start = self.server.start;
        if let Some(time) = time.filter(|time| *time >= start) {
            self.server.attributes.set(key, time.since(start));
        }
    }

    fn link(&self) -> Link {
        Link {
            span_id: self.server.span_id,
            evidence: Evidence::Header(self.id.clone()),
        }
    }
}
