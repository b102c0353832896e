//! Pass 5: one exchange becomes the spans of its hop.
//!
//! The client's span holds the request's way (send, wire, receive queue), the server's span, and the
//! answer's way. With the server's processing these parts tile the client's span to the nanosecond.

use std::sync::Arc;

use tierscope_model::{
    Attributes, Evidence, Link, Resource, SmolStr, Span, SpanId, SpanKind, Status, Timestamp, attr,
};

use crate::counts::Counts;
use crate::dropped::Failure;
use crate::exchange::{End, Exchange, Passage};
use crate::joined::{Part, joined};
use crate::passage::{self, Gaps};
use crate::process::Processes;
use crate::retransmit::{Hole, Retransmits};
use crate::span_id::derive;
use crate::tree::internal;

/// An exchange's place in the tree: its two ends, either of which may not be traced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hop {
    pub(crate) client: Option<SpanId>,
    pub(crate) server: Option<SpanId>,
}

impl Hop {
    /// The span nearest to the caller.
    pub(crate) fn top(&self) -> Option<SpanId> {
        self.client.or(self.server)
    }
}

/// What both sides' spans are called and carry.
#[derive(Clone)]
pub(crate) struct Label {
    pub(crate) name: SmolStr,
    pub(crate) attributes: Attributes,
    pub(crate) status: Status,
}

/// Makes the spans of `exchange` and adds them to `out`; the topmost has no parent yet.
pub(crate) fn spans(
    exchange: &Exchange,
    label: Label,
    processes: &mut Processes,
    counts: &mut Counts,
    out: &mut Vec<Span>,
) -> Hop {
    let client_resource = resource(&exchange.client, processes);
    let server_resource = resource(&exchange.server, processes);
    let ranges = Ranges::of(exchange);
    let client = client_span(exchange, &label, &ranges, &client_resource);
    let mut server = server_span(exchange, label, &server_resource);
    let hop = Hop {
        client: client.as_ref().map(|s| s.span_id),
        server: server.as_ref().map(|s| s.span_id),
    };
    let Some(client) = client else {
        out.extend(server);
        return hop;
    };
    let first = ranges.request.as_ref().or(ranges.response.as_ref());
    if let (Some(server), Some(range)) = (&mut server, first) {
        server.parent = Some(Link {
            span_id: client.span_id,
            evidence: Evidence::Seq(range.clone()),
        });
    }
    let (from, to) = (&client_resource.service, &server_resource.service);
    let between = joined([from.as_str().into(), " → ".into(), to.as_str().into()]);
    let way = Way {
        exchange,
        ranges,
        gaps: processes.gaps(),
        client: client.span_id,
        between,
        counts,
    };
    out.push(client);
    out.extend(server);
    way.parts(&client_resource, &server_resource, out);
    hop
}

fn resource(end: &End, processes: &mut Processes) -> Arc<Resource> {
    processes.get(end.pid.unwrap_or(0), end.local)
}

fn client_span(
    exchange: &Exchange,
    label: &Label,
    ranges: &Ranges,
    resource: &Arc<Resource>,
) -> Option<Span> {
    exchange.client.cookie?;
    let times = exchange.client_times()?;
    let label = label.clone();
    let mut span = span(exchange, "client", times, label, SpanKind::Client, resource);
    let attributes = &mut span.attributes;
    if let Some(range) = &ranges.request {
        attributes.add([(attr::REQUEST_RANGE, range.clone().into())]);
    }
    if let Some(range) = &ranges.response {
        attributes.add([(attr::RESPONSE_RANGE, range.clone().into())]);
    }
    if let Some((sent, established)) = exchange.setup.and_then(|setup| setup.connect) {
        attributes.add([
            (attr::CONNECT_NS, established.since(sent).into()),
            (attr::CONNECTED_BEFORE_NS, times.0.since(established).into()),
        ]);
    }
    peer(&mut span, &exchange.server);
    Some(span)
}

fn server_span(exchange: &Exchange, label: Label, resource: &Arc<Resource>) -> Option<Span> {
    exchange.server.cookie?;
    let times = exchange.server_times()?;
    let mut span = span(exchange, "server", times, label, SpanKind::Server, resource);
    if let Some(unsent) = exchange.response.as_ref().and_then(Passage::unsent) {
        span.attributes.set(attr::UNSENT_NS, unsent);
    }
    peer(&mut span, &exchange.client);
    Some(span)
}

/// Says with whom.
pub(crate) fn peer(span: &mut Span, end: &End) {
    if let Some(addr) = end.local {
        span.attributes.add([
            (attr::NETWORK_PEER_ADDRESS, end.ip.clone().into()),
            (attr::NETWORK_PEER_PORT, addr.port().into()),
        ]);
    }
}

fn span(
    exchange: &Exchange,
    side: &str,
    (start, end): (Timestamp, Timestamp),
    label: Label,
    kind: SpanKind,
    resource: &Arc<Resource>,
) -> Span {
    let cookie = |end: &End| end.cookie.map_or(0, |c| c.0);
    let parts = [
        cookie(&exchange.client),
        cookie(&exchange.server),
        exchange.begun.0,
        exchange.number,
    ];
    Span {
        span_id: derive(side, &parts),
        parent: None,
        name: label.name,
        kind,
        start,
        end: end.max(start),
        status: label.status,
        resource: resource.clone(),
        attributes: label.attributes,
        events: Vec::new(),
        slices: Vec::new(),
    }
}

/// Where the messages of an exchange lie on their connection.
struct Ranges {
    request: Option<SmolStr>,
    response: Option<SmolStr>,
}

impl Ranges {
    fn of(exchange: &Exchange) -> Ranges {
        let (client, server) = (&exchange.client, &exchange.server);
        let (request, response) = (exchange.request.as_ref(), exchange.response.as_ref());
        Ranges {
            request: request.map(|passage| range(client, server, passage)),
            response: response.map(|passage| range(server, client, passage)),
        }
    }
}

/// `sender cookie>receiver cookie:lo-hi`.
fn range(from: &End, to: &End, passage: &Passage) -> SmolStr {
    let cookie = |end: &End| end.cookie.map_or(0, |c| c.0);
    let (from, to, (lo, hi)) = (cookie(from), cookie(to), passage.seq);
    let ([from, to], [lo, hi]) = ([from, to].map(Part::from), [lo, hi].map(Part::from));
    joined([from, ">".into(), to, ":".into(), lo, "-".into(), hi])
}

/// What was sent again of a message, on its way's span.
fn describe(part: &mut Span, resent: &Retransmits) {
    let attributes = &mut part.attributes;
    attributes.set(attr::RETRANSMITS, resent.segments);
    attributes.set(attr::RETRANSMIT_BYTES, resent.bytes);
    if resent.spurious > 0 {
        attributes.set(attr::RETRANSMIT_SPURIOUS, resent.spurious);
    }
    if resent.unmeasured == 0 {
        attributes.set(attr::RETRANSMIT_HOLE_NS, resent.cost());
        return;
    }
    let words =
        "what retransmits cost: not measured, neither the arrival nor the wire's own time was seen";
    let all = match attributes.text(attr::NOT_MEASURED) {
        Some(before) => format!("{before}; {words}"),
        None => words.to_owned(),
    };
    attributes.set(attr::NOT_MEASURED, all);
}

/// The stretches of `send` in which its bytes waited for the receiver.
fn full(send: &Span, passage: &Passage, receiver: &Arc<Resource>) -> Vec<Span> {
    let within = |time: &(Timestamp, Timestamp)| inside(send, passage::FULL, *time, receiver);
    passage.full.iter().filter_map(within).collect()
}

/// Those in which its bytes waited because their own host had dropped them.
fn failures(send: &Span, passage: &Passage) -> Vec<Span> {
    let within = |failure: &Failure| {
        let mut span = inside(send, passage::FAILURE, failure.time, &send.resource)?;
        span.attributes.set(attr::DROPPED, failure.packets);
        Some(span)
    };
    passage.failures.iter().filter_map(within).collect()
}

/// What of a time lies within a part of a way; none if nothing does.
fn inside(
    part: &Span,
    name: &'static str,
    (start, end): (Timestamp, Timestamp),
    resource: &Arc<Resource>,
) -> Option<Span> {
    let time = (start.max(part.start), end.min(part.end));
    let link = Link {
        span_id: part.span_id,
        evidence: part.parent.as_ref()?.evidence.clone(),
    };
    let id = derive(name, &[part.span_id.0, start.0]);
    let mut span = internal(id, Some(link), name, time, resource.clone());
    if let Some(direction) = part.attributes.get(attr::DIRECTION) {
        span.attributes.set(attr::DIRECTION, direction.clone());
    }
    (time.0 < time.1).then_some(span)
}

/// The two ways of one exchange.
struct Way<'a> {
    exchange: &'a Exchange,
    ranges: Ranges,
    gaps: Gaps,
    client: SpanId,
    between: SmolStr,
    counts: &'a mut Counts,
}

impl Way<'_> {
    /// Adds them to `out`.
    fn parts(mut self, client: &Arc<Resource>, server: &Arc<Resource>, out: &mut Vec<Span>) {
        let (exchange, first) = (self.exchange, out.len());
        if let Some(request) = &exchange.request {
            self.one_way(request, "request", client, server, out);
        }
        if let Some(response) = &exchange.response {
            self.one_way(response, "response", server, client, out);
        }
        self.check(&out[first..]);
    }

    fn one_way(
        &mut self,
        passage: &Passage,
        direction: &'static str,
        from: &Arc<Resource>,
        to: &Arc<Resource>,
        out: &mut Vec<Span>,
    ) {
        for stretch in passage::stretches(passage, self.gaps).iter().flatten() {
            let resource = if stretch.name == passage::QUEUE {
                to
            } else {
                from
            };
            let at = out.len();
            out.push(self.part(stretch.name, passage, direction, stretch.time, resource));
            let part = &mut out[at];
            if !stretch.unmeasured.is_empty() {
                let words = stretch.unmeasured.join("; ");
                part.attributes.set(attr::NOT_MEASURED, words);
            }
            let unsent = passage.unsent().filter(|_| direction == "response");
            if let Some(unsent) = unsent.filter(|_| stretch.name == passage::SEND) {
                part.attributes.set(attr::UNSENT_NS, unsent);
            }
            let mut inside = match stretch.name {
                passage::QUEUE => self.accept(part, direction).into_iter().collect(),
                _ => self.held_up(part, passage, to),
            };
            out.append(&mut inside);
        }
    }

    /// What kept the bytes of a message within a part of its way.
    fn held_up(&self, part: &mut Span, passage: &Passage, to: &Arc<Resource>) -> Vec<Span> {
        let mut inside = self.holes(part, passage);
        if matches!(part.name.as_str(), passage::SEND | passage::TRANSFER) {
            inside.extend(full(part, passage, to));
            inside.extend(failures(part, passage));
        }
        inside
    }

    /// What of a request's wait in the queue was for accept(2).
    fn accept(&self, queue: &Span, direction: &'static str) -> Option<Span> {
        let setup = self.exchange.setup.filter(|_| direction == "request")?;
        let end = setup.accepted?.min(queue.end);
        let evidence = queue.parent.as_ref()?.evidence.clone();
        (queue.start < end).then(|| {
            let link = Link {
                span_id: queue.span_id,
                evidence,
            };
            let id = derive(passage::ACCEPT, &[queue.span_id.0]);
            let resource = queue.resource.clone();
            let time = (queue.start, end);
            let mut span = internal(id, Some(link), passage::ACCEPT, time, resource);
            span.attributes.add([(attr::DIRECTION, direction.into())]);
            span
        })
    }

    /// Notes on the way of a message what of it was sent again, and what of that time falls into `part`.
    fn holes(&self, part: &mut Span, passage: &Passage) -> Vec<Span> {
        let resent = &passage.retransmits;
        if resent.segments == 0 {
            return Vec::new();
        }
        let evidence = part.parent.as_ref().map(|link| link.evidence.clone());
        let within = |hole: &Hole| {
            let time = (hole.start.max(part.start), hole.end.min(part.end));
            let link = Link {
                span_id: part.span_id,
                evidence: evidence.clone()?,
            };
            let id = derive("retransmit hole", &[part.span_id.0, hole.start.0]);
            let resource = part.resource.clone();
            (time.0 < time.1).then(|| internal(id, Some(link), "retransmit hole", time, resource))
        };
        let holes = resent.holes.iter().filter_map(within).collect();
        if part.name != passage::SEND {
            describe(part, resent);
        }
        holes
    }

    fn part(
        &mut self,
        name: &'static str,
        passage: &Passage,
        direction: &'static str,
        (start, end): (Timestamp, Timestamp),
        resource: &Arc<Resource>,
    ) -> Span {
        if end < start {
            self.counts.negative_durations += 1;
        }
        let range = match direction {
            "request" => &self.ranges.request,
            _ => &self.ranges.response,
        };
        // A queue's reader is charged with it.
        let more = if name == passage::QUEUE { 3 } else { 0 };
        let mut attributes = Attributes::with_room(4 + more);
        attributes.add([
            (attr::PART, name.into()),
            (attr::HOP, self.between.clone().into()),
            (attr::DIRECTION, direction.into()),
            (attr::BYTES, passage.bytes.into()),
        ]);
        Span {
            span_id: derive(name, &[self.client.0, u64::from(direction == "response")]),
            parent: range.as_ref().map(|range| Link {
                span_id: self.client,
                evidence: Evidence::Seq(range.clone()),
            }),
            name: SmolStr::new_static(name),
            kind: SpanKind::Internal,
            start,
            end: end.max(start),
            status: Status::Unset,
            resource: resource.clone(),
            attributes,
            events: Vec::new(),
            slices: Vec::new(),
        }
    }

    /// The parts and the processing between them must sum to the client's span exactly.
    fn check(&mut self, parts: &[Span]) {
        let Some((start, end)) = self.exchange.client_times() else {
            return;
        };
        let Some((read, write)) = self.exchange.processing() else {
            return;
        };
        let Some(response) = &self.exchange.response else {
            return;
        };
        // An answer that begins before the request was read in full overlaps it, rightly.
        if write < read || response.last_read.is_none() {
            return;
        }
        let parts = parts
            .iter()
            .filter(|span| span.parent_id() == Some(self.client));
        let sum: u64 = parts.map(Span::duration).sum::<u64>() + write.since(read);
        if sum != end.since(start) {
            self.counts.conservation_violations += 1;
        }
    }
}
