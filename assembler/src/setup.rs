//! How a connection was made, for the request that waited for it.
//!
//! `connect`: SYN sent → established, at the end that called. `accept`: the server's accept(2) returned,
//! which the first request's bytes may have waited for in the receive queue.

use tierscope_model::{Link, Socket, SocketRole, Span, SpanId, Timestamp};

use crate::exchange::Exchange;
use crate::hop;
use crate::process::Processes;
use crate::span_id::derive;
use crate::tree::internal;

/// The times of one connection's making. Each is none where it was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// SYN sent → established, as the connecting end saw it.
    pub(crate) connect: Option<(Timestamp, Timestamp)>,
    /// accept(2) returned.
    pub(crate) accepted: Option<Timestamp>,
    /// A request was given it.
    taken: bool,
}

impl Setup {
    /// One end is established.
    pub(crate) fn established(&mut self, socket: &Socket, time: Timestamp) {
        if socket.role == SocketRole::Connect && socket.start.0 != 0 && socket.start <= time {
            self.connect = Some((socket.start, time));
        }
    }

    /// For the connection's first exchange only.
    pub(crate) fn take(&mut self) -> Option<Setup> {
        (!std::mem::replace(&mut self.taken, true)).then_some(*self)
    }
}

/// The `connect` span of an exchange under `parent`, if that waited for the connection: it was under way
/// when the SYN was sent.
pub(crate) fn connect_span(
    exchange: &Exchange,
    parent: &Span,
    link: Link,
    processes: &Processes,
) -> Option<Span> {
    let (start, end) = exchange.setup?.connect?;
    if start < parent.start || end > parent.end {
        return None;
    }
    let cookie = exchange.client.cookie?;
    let resource = processes.get(exchange.client.pid.unwrap_or(0), exchange.client.local);
    let id: SpanId = derive("connect", &[cookie.0, start.0]);
    let mut span = internal(id, Some(link), "connect", (start, end), resource);
    hop::peer(&mut span, &exchange.server);
    Some(span)
}
