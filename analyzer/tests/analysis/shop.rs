//! A shop's requests as tierscope assembles them: client → nginx → app → PostgreSQL, in nanoseconds.

use std::sync::Arc;

use tierscope_analyzer::{Baseline, Flagged, Judge, Verdict};
use tierscope_model::{
    Attributes, Doing, Evidence, Link, RequestId, Resource, Slice, Span, SpanEvent, SpanId,
    SpanKind, Status, Timestamp, Trace, TraceId, attr,
};

pub const MS: u64 = 1_000_000;
pub const USER: &str = "SELECT name FROM users WHERE id = $1";
pub const ORDER: &str = "SELECT id, total FROM orders WHERE id = $1";
pub const ENDPOINT: &str = "GET /api/users/{id}/orders";

/// What one request does, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: u64,
    pub pool: u64,
    /// Statements in turn, each with its execution.
    pub queries: Vec<(&'static str, u64)>,
    pub lock: u64,
    /// Until another backend has flushed the log.
    pub log: u64,
    pub disk: u64,
    pub files: u64,
    pub file: u64,
    /// Request's wait in the app's receive queue, and what its reader did.
    pub queue: u64,
    pub reader: Doing,
    pub hole: u64,
    /// How long the app's answer is kept from leaving once it is written.
    pub unsent: u64,
    /// That is because nginx does not read it.
    pub full: bool,
    /// Or because the app's host dropped so many packets of it.
    pub dropped: u64,
    pub cpu: u64,
    pub runnable: u64,
    /// What keeps threads runnable without a CPU is a quota.
    pub throttled: bool,
    pub asleep: u64,
    pub nginx: u64,
    pub stopped: u64,
    pub misses: u64,
}

impl Request {
    /// A normal one; `n` makes it differ a little from others.
    pub fn normal(n: u64) -> Request {
        let jitter = n * 7_919 % 200_000;
        Request {
            at: n * 3 * MS,
            pool: 5_000 + jitter / 100,
            queries: vec![(USER, 300_000 + jitter), (ORDER, 700_000 + jitter)],
            lock: 0,
            log: 0,
            disk: jitter / 10,
            files: 1,
            file: 50_000 + jitter / 10,
            queue: 20_000 + jitter / 20,
            reader: Doing::Running,
            hole: 0,
            unsent: 0,
            full: false,
            dropped: 0,
            cpu: 400_000 + jitter,
            runnable: jitter / 20,
            throttled: false,
            asleep: 10_000,
            nginx: 60_000,
            stopped: 0,
            misses: 0,
        }
    }

    pub fn trace(&self) -> Trace {
        Maker::new(self).make()
    }
}

/// A judge that knows `n` normal requests.
pub fn judge(n: u64) -> Judge {
    let mut baseline = Baseline::new();
    for n in 0..n {
        baseline.learn(&Request::normal(n).trace());
    }
    Judge::new(baseline)
}

/// The findings on a request that must have some.
pub fn flagged(request: &Request) -> Flagged {
    match judge(500).judge(&request.trace()) {
        Verdict::Flagged(flagged) => *flagged,
        other => panic!("{other:?} on {request:?}"),
    }
}

/// Builds the tree by walking through the request's time.
struct Maker<'a> {
    request: &'a Request,
    now: u64,
    spans: Vec<Span>,
}

impl<'a> Maker<'a> {
    fn new(request: &'a Request) -> Maker<'a> {
        Maker {
            request,
            now: request.at,
            spans: Vec::new(),
        }
    }

    fn make(mut self) -> Trace {
        let client = self.open(None, ENDPOINT, SpanKind::Client, "client");
        self.way(
            client,
            "client → nginx",
            "request",
            20_000,
            Doing::Running,
            0,
        );
        let nginx = self.open(Some(client), ENDPOINT, SpanKind::Server, "nginx");
        self.slice(nginx, Doing::Running, self.request.nginx, None);
        self.slice(nginx, Doing::Waiting, self.request.stopped, Some("stopped"));
        let upstream = self.open(Some(nginx), ENDPOINT, SpanKind::Client, "nginx");
        let (queue, reader) = (self.request.queue, self.request.reader);
        self.way(upstream, "nginx → app", "request", queue, reader, 0);
        let app = self.open(Some(upstream), ENDPOINT, SpanKind::Server, "app");
        self.handler(app);
        self.unsent(app, upstream);
        self.close(app);
        let hole = self.request.hole;
        self.way(
            upstream,
            "nginx → app",
            "response",
            15_000,
            Doing::Running,
            hole,
        );
        self.close(upstream);
        self.close(nginx);
        self.way(
            client,
            "client → nginx",
            "response",
            30_000,
            Doing::Running,
            0,
        );
        self.close(client);
        Trace {
            trace_id: TraceId(u128::from(self.request.at) + 1),
            request_id: Some(RequestId(u128::from(self.request.at) + 1)),
            endpoint: ENDPOINT.to_owned(),
            incomplete: Vec::new(),
            spans: self.spans,
        }
    }

    /// The app's answer is written and does not leave: its server's span and the sending end together.
    fn unsent(&mut self, app: usize, upstream: usize) {
        if self.request.unsent == 0 {
            return;
        }
        let send = self.open(Some(upstream), "send", SpanKind::Internal, "app");
        self.part(send, "send", "nginx → app", "response");
        self.now += 2_000;
        if self.request.full {
            let name = "receive queue full";
            let full = self.open(Some(send), name, SpanKind::Internal, "nginx");
            let unsent = self.request.unsent;
            self.slice(full, Doing::Waiting, unsent, Some("epoll_wait"));
            self.close(full);
        } else if self.request.dropped > 0 {
            self.leaf(send, "send failure", self.request.unsent);
            if let Some(failure) = self.spans.last_mut() {
                let attributes = &mut failure.attributes;
                attributes.set(attr::DROPPED, self.request.dropped);
                attributes.set(attr::DIRECTION, "response");
            }
        } else {
            self.now += self.request.unsent;
        }
        for span in [app, send] {
            let unsent = self.request.unsent;
            self.spans[span].attributes.set(attr::UNSENT_NS, unsent);
        }
        self.close(send);
    }

    fn handler(&mut self, app: usize) {
        let handler = self.open(Some(app), "handler", SpanKind::Internal, "app");
        for _ in 0..self.request.misses {
            let time = Timestamp(self.now);
            self.spans[handler].events.push(SpanEvent {
                time,
                name: "cache miss".into(),
                attributes: Attributes::new(),
            });
        }
        self.leaf(handler, "db pool wait", self.request.pool);
        for at in 0..self.request.queries.len() {
            self.query(handler, at);
        }
        for _ in 0..self.request.files {
            let file = self.open(Some(handler), "file read", SpanKind::Internal, "app");
            let path = format!("/srv/{file}");
            self.spans[file].attributes.set(attr::FILE_PATH, path);
            self.now += self.request.file;
            self.close(file);
        }
        self.slice(handler, Doing::Running, self.request.cpu, None);
        self.slice(handler, Doing::Runnable, self.request.runnable, None);
        self.now += self.request.asleep;
        self.close(handler);
    }

    fn query(&mut self, handler: usize, at: usize) {
        let (text, execution) = self.request.queries[at];
        let query = self.open(Some(handler), "db query", SpanKind::Client, "app");
        let exchange = self.open(Some(query), "query", SpanKind::Client, "app");
        self.way(
            exchange,
            "app → postgres",
            "request",
            20_000,
            Doing::Running,
            0,
        );
        let server = self.open(Some(exchange), "query", SpanKind::Server, "postgres");
        for span in [query, exchange, server] {
            let attributes = &mut self.spans[span].attributes;
            attributes.set(attr::DB_SYSTEM_NAME, "postgresql");
            attributes.set(attr::DB_QUERY_TEXT, text);
        }
        self.spans[exchange]
            .attributes
            .set(attr::DB_EXCHANGE, "query");
        self.slice(server, Doing::Running, execution, None);
        if at == 0 {
            let lock = self.open(Some(server), "lock wait", SpanKind::Internal, "postgres");
            self.spans[lock]
                .attributes
                .set(attr::LOCK_TYPE, "transactionid");
            self.slice(
                server,
                Doing::Waiting,
                self.request.lock,
                Some("Lock: transactionid"),
            );
            self.close(lock);
            self.log(server);
            self.slice(
                server,
                Doing::Waiting,
                self.request.disk,
                Some("IO: DataFileRead"),
            );
        }
        self.close(server);
        self.way(
            exchange,
            "app → postgres",
            "response",
            20_000,
            Doing::Running,
            0,
        );
        self.close(exchange);
        self.close(query);
    }

    fn log(&mut self, server: usize) {
        let wait = self.open(Some(server), "lwlock wait", SpanKind::Internal, "postgres");
        let attributes = &mut self.spans[wait].attributes;
        attributes.set(attr::LWLOCK_TRANCHE, "WALWrite");
        let reason = Some("LWLock: WALWrite");
        self.slice(server, Doing::Waiting, self.request.log, reason);
        self.close(wait);
    }

    /// Wire (with its hole) and receive queue.
    fn way(
        &mut self,
        parent: usize,
        hop: &'static str,
        direction: &'static str,
        queue: u64,
        reader: Doing,
        hole: u64,
    ) {
        let (near, far) = hop.split_once(" → ").expect("both ends");
        let to = if direction == "request" { far } else { near };
        let wire = self.open(Some(parent), "wire", SpanKind::Internal, near);
        self.part(wire, "wire", hop, direction);
        self.now += 3_000;
        if hole > 0 {
            self.spans[wire].attributes.set(attr::RETRANSMITS, 1i64);
            self.spans[wire]
                .attributes
                .set(attr::RETRANSMIT_BYTES, 1_448i64);
            self.leaf(wire, "retransmit hole", hole);
        }
        self.close(wire);
        let waits = self.open(Some(parent), "receive queue", SpanKind::Internal, to);
        self.part(waits, "receive queue", hop, direction);
        let other =
            (reader == Doing::Running && queue > MS).then_some("GET /api/report/{id} 9c1f…");
        self.slice(waits, reader, queue, None);
        if let Some(slice) = self.spans[waits].slices.last_mut() {
            slice.instead = other.map(Into::into);
        }
        self.close(waits);
    }

    fn part(
        &mut self,
        span: usize,
        part: &'static str,
        hop: &'static str,
        direction: &'static str,
    ) {
        let attributes = &mut self.spans[span].attributes;
        attributes.set(attr::PART, part);
        attributes.set(attr::HOP, hop);
        attributes.set(attr::DIRECTION, direction);
    }

    fn leaf(&mut self, parent: usize, name: &str, nanos: u64) {
        let service = self.spans[parent].resource.service.clone();
        let span = self.open(Some(parent), name, SpanKind::Internal, &service);
        self.now += nanos;
        self.close(span);
    }

    fn slice(&mut self, span: usize, doing: Doing, nanos: u64, reason: Option<&str>) {
        let start = Timestamp(self.now);
        let throttled = doing == Doing::Runnable && self.request.throttled;
        let reason = reason.or(throttled.then_some(Slice::CPU_QUOTA));
        self.now += nanos;
        if nanos > 0 {
            self.spans[span].slices.push(Slice {
                start,
                end: Timestamp(self.now),
                doing,
                tid: 7,
                reason: reason.map(Into::into),
                instead: None,
                instead_ns: None,
                shared: false,
            });
        }
    }

    fn open(&mut self, parent: Option<usize>, name: &str, kind: SpanKind, service: &str) -> usize {
        let link = |parent: usize| Link {
            span_id: self.spans[parent].span_id,
            evidence: Evidence::Probe("".into()),
        };
        let parent = parent.map(link);
        self.spans.push(Span {
            span_id: SpanId(self.spans.len() as u64 + 1),
            parent,
            name: name.into(),
            kind,
            start: Timestamp(self.now),
            end: Timestamp(self.now),
            status: Status::Unset,
            resource: Arc::new(Resource {
                service: service.into(),
                pid: service.len() as u32,
                ..Resource::default()
            }),
            attributes: Attributes::new(),
            events: Vec::new(),
            slices: Vec::new(),
        });
        self.spans.len() - 1
    }

    fn close(&mut self, span: usize) {
        self.spans[span].end = Timestamp(self.now);
    }
}
