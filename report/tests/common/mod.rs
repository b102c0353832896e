//! Sample traces of the shape the assembler makes.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;

use tierscope_model::{
    Attributes, Doing, Evidence, Incomplete, Link, RequestId, Resource, Slice, Span, SpanEvent,
    SpanId, SpanKind, Status, Timestamp, Trace, TraceId, attr,
};

const T0: u64 = 1_000_000_000_000;
const REQUEST: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

/// Adds spans in pre-order; times are microseconds from the request's start.
pub struct Sample {
    pub trace: Trace,
    services: [Arc<Resource>; 4],
}

/// Places in [`Sample`]'s list of services.
pub const CLIENT: usize = 0;
pub const NGINX: usize = 1;
pub const APP: usize = 2;
pub const POSTGRES: usize = 3;

impl Sample {
    pub fn new(endpoint: &str) -> Sample {
        let service = |(pid, name): (u32, &str)| {
            Arc::new(Resource {
                service: name.into(),
                process: name.into(),
                pid,
                host: "lab".into(),
            })
        };
        let names = [
            (100, "loadgen"),
            (200, "nginx"),
            (300, "app"),
            (400, "postgres"),
        ];
        Sample {
            trace: Trace {
                trace_id: TraceId(REQUEST),
                request_id: Some(RequestId(REQUEST)),
                endpoint: endpoint.to_owned(),
                incomplete: Vec::new(),
                spans: Vec::new(),
            },
            services: names.map(service),
        }
    }

    pub fn add(
        &mut self,
        parent: Option<SpanId>,
        service: usize,
        kind: SpanKind,
        name: &str,
        (start, end): (u64, u64),
    ) -> SpanId {
        let span_id = SpanId(0x1000 + self.trace.spans.len() as u64);
        self.trace.spans.push(Span {
            span_id,
            parent: parent.map(|span_id| Link {
                span_id,
                evidence: Evidence::Seq(format!("11>12:{start}-{end}").into()),
            }),
            name: name.into(),
            kind,
            start: Timestamp(T0 + start * 1_000),
            end: Timestamp(T0 + end * 1_000),
            status: Status::Unset,
            resource: Arc::clone(&self.services[service]),
            attributes: Default::default(),
            events: Vec::new(),
            slices: Vec::new(),
        });
        span_id
    }

    pub fn internal(
        &mut self,
        parent: SpanId,
        service: usize,
        name: &str,
        time: (u64, u64),
    ) -> SpanId {
        self.add(Some(parent), service, SpanKind::Internal, name, time)
    }

    pub fn last(&mut self) -> &mut Span {
        self.trace.spans.last_mut().expect("a span was added")
    }

    /// One direction of a hop: send, wire, and the wait in the receive queue.
    pub fn hop(
        &mut self,
        parent: SpanId,
        (from, to): (usize, usize),
        response: bool,
        times: [u64; 3],
    ) {
        let [start, arrival, read] = times;
        let hop = format!(
            "{} → {}",
            self.services[from].service, self.services[to].service
        );
        let sender = if response { to } else { from };
        let left = start + (arrival - start) / 3;
        for (part, time) in [
            ("send", (start, left)),
            ("wire", (left, arrival)),
            ("receive queue", (arrival, read)),
        ] {
            self.internal(parent, sender, part, time);
            let attributes = &mut self.last().attributes;
            attributes.set(attr::PART, part.to_owned());
            attributes.set(attr::HOP, hop.clone());
            attributes.set(
                attr::DIRECTION,
                if response { "response" } else { "request" },
            );
            attributes.set(attr::BYTES, 180i64);
        }
    }

    /// A query of `[start, end]` with one exchange whose backend plans for 5 % and executes for 85 %.
    pub fn query(&mut self, parent: SpanId, summary: &str, (start, end): (u64, u64)) -> SpanId {
        let query = self.add(
            Some(parent),
            APP,
            SpanKind::Client,
            "db query",
            (start, end),
        );
        let attributes = &mut self.last().attributes;
        attributes.set(attr::DB_QUERY_SUMMARY, summary.to_owned());
        attributes.set(
            attr::DB_QUERY_TEXT,
            format!("{summary} WHERE id = ? AND name <> '?'"),
        );
        attributes.set(attr::DB_SYSTEM_NAME, "postgresql");
        self.exchange(query, "query", (start, end));
        query
    }

    pub fn exchange(&mut self, query: SpanId, name: &'static str, (start, end): (u64, u64)) {
        let part = |percent: u64| start + (end - start) * percent / 100;
        let exchange = self.add(Some(query), APP, SpanKind::Client, name, (start, end));
        self.last().attributes.set(attr::DB_EXCHANGE, name);
        self.hop(exchange, (APP, POSTGRES), false, [start, part(2), part(3)]);
        let server = (part(3), part(97));
        let backend = self.add(Some(exchange), POSTGRES, SpanKind::Server, name, server);
        self.last().attributes.set(attr::DB_EXCHANGE, name);
        self.last().events.push(SpanEvent {
            time: Timestamp(T0 + server.0 * 1_000),
            name: "transaction start".into(),
            attributes: Default::default(),
        });
        let phases: &[(&str, u64, u64)] = match name {
            "ping" => &[],
            "prepare" => &[("parse", 3, 96)],
            _ => &[("plan", 3, 8), ("execute", 8, 93)],
        };
        for (phase, from, to) in phases {
            self.internal(backend, POSTGRES, phase, (part(*from), part(*to)));
        }
        self.hop(exchange, (APP, POSTGRES), true, [part(97), part(98), end]);
    }

    /// Client, nginx and app with their hops; `inside` fills the app's span of `[700, end - 700]`.
    pub fn request(&mut self, end: u64, inside: impl FnOnce(&mut Sample, SpanId)) {
        let name = self.trace.endpoint.clone();
        let root = self.add(None, CLIENT, SpanKind::Client, &name, (0, end));
        let attributes = &mut self.last().attributes;
        attributes.set(attr::URL_PATH, "/api/users/17");
        attributes.set(attr::HTTP_RESPONSE_STATUS_CODE, 200i64);
        self.hop(root, (CLIENT, NGINX), false, [0, 60, 110]);
        let nginx = self.add(Some(root), NGINX, SpanKind::Server, &name, (110, end - 100));
        let upstream = self.add(
            Some(nginx),
            NGINX,
            SpanKind::Client,
            &name,
            (400, end - 350),
        );
        self.hop(upstream, (NGINX, APP), false, [400, 500, 700]);
        let app = self.add(
            Some(upstream),
            APP,
            SpanKind::Server,
            &name,
            (700, end - 700),
        );
        inside(self, app);
        self.hop(
            upstream,
            (NGINX, APP),
            true,
            [end - 700, end - 600, end - 350],
        );
        self.hop(root, (CLIENT, NGINX), true, [end - 100, end - 40, end]);
    }
}

/// The smallest: a health check that never leaves nginx's upstream hop.
pub fn health() -> Trace {
    let mut sample = Sample::new("GET /health");
    let root = sample.add(None, CLIENT, SpanKind::Client, "GET /health", (0, 310));
    sample.hop(root, (CLIENT, NGINX), false, [0, 50, 90]);
    sample.add(
        Some(root),
        NGINX,
        SpanKind::Server,
        "GET /health",
        (90, 240),
    );
    sample
        .last()
        .attributes
        .set(attr::HTTP_RESPONSE_STATUS_CODE, 204i64);
    sample.hop(root, (CLIENT, NGINX), true, [240, 280, 310]);
    sample.trace
}

/// A slow request: cache miss, prepare and query, a lock wait, rendering, a retransmit.
pub fn slow() -> Trace {
    let mut sample = Sample::new("GET /api/users/{id}");
    sample.request(45_200, |s, app| {
        s.internal(app, APP, "handler setup", (700, 1_200));
        s.internal(app, APP, "business logic", (1_200, 1_500));
        s.last().events.push(SpanEvent {
            time: Timestamp(T0 + 1_400_000),
            name: "cache miss".into(),
            attributes: cache_key("user:17"),
        });
        let pool = s.internal(app, APP, "db pool wait", (1_500, 3_900));
        s.exchange(pool, "ping", (1_600, 3_000));
        s.query(app, "SELECT users", (3_900, 19_100));
        let prepared = s.add(
            Some(app),
            APP,
            SpanKind::Client,
            "db query",
            (19_100, 28_900),
        );
        s.last()
            .attributes
            .set(attr::DB_QUERY_SUMMARY, "UPDATE accounts");
        s.exchange(prepared, "prepare", (19_200, 20_900));
        s.exchange(prepared, "query", (20_950, 28_700));
        lock_wait(s);
        s.internal(app, APP, "file read", (28_900, 30_000));
        s.last()
            .attributes
            .set(attr::FILE_PATH, "templates/user.html");
        s.internal(app, APP, "render", (30_000, 41_000));
        threads(s, "render", "futex", "stress-ng 4711");
        threads(s, "query", "Lock: transactionid", "postgres 402");
        s.internal(app, APP, "serialize", (43_200, 44_500));
    });
    sample.trace
}

fn cache_key(key: &'static str) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.set(attr::CACHE_KEY, key);
    attributes
}

fn lock_wait(sample: &mut Sample) {
    let spans = &sample.trace.spans;
    let execute = spans
        .iter()
        .rposition(|s| s.name == "execute")
        .expect("it was added");
    let (id, resource) = (spans[execute].span_id, Arc::clone(&spans[execute].resource));
    let mut wait = spans[execute].clone();
    wait.span_id = SpanId(0xfff);
    wait.parent = Some(Link {
        span_id: id,
        evidence: Evidence::Backend("400".into()),
    });
    wait.resource = resource;
    wait.name = "lock wait".into();
    wait.end = wait.start + 4_000_000;
    sample.trace.spans.insert(execute + 1, wait);
    for (key, value) in [
        (attr::RETRANSMITS, 1i64),
        (attr::RETRANSMIT_HOLE_NS, 90_000),
    ] {
        sample.trace.spans[execute + 3].attributes.set(key, value);
    }
}

/// Gives the last span called `name` slices that tile it: a CPU, a wait, the run queue, a CPU again.
pub fn threads(sample: &mut Sample, name: &str, reason: &str, instead: &str) {
    let spans = &mut sample.trace.spans;
    let at = spans
        .iter()
        .rposition(|s| s.name == name)
        .expect("it was added");
    let span = &mut spans[at];
    let at = |tenths: u64| Timestamp(span.start.0 + span.duration() * tenths / 10);
    let slice = |(from, to), doing| Slice {
        start: at(from),
        end: at(to),
        doing,
        tid: 401,
        reason: (doing == Doing::Waiting).then(|| reason.into()),
        instead: (doing == Doing::Runnable).then(|| instead.into()),
        instead_ns: None,
        shared: false,
    };
    span.slices = vec![
        slice((0, 2), Doing::Running),
        slice((2, 7), Doing::Waiting),
        slice((7, 8), Doing::Runnable),
        slice((8, 10), Doing::Running),
    ];
}

/// One query per order: about 12 spans for each of `n`.
pub fn n_plus_one(n: u64) -> Trace {
    let mut sample = Sample::new("GET /api/users/{id}/orders");
    sample.request(2_400 + n * 1_000, |s, app| {
        s.internal(app, APP, "handler setup", (700, 900));
        for i in 0..n {
            let start = 900 + i * 1_000;
            s.internal(app, APP, "db pool wait", (start, start + 40));
            s.query(
                app,
                "SELECT order_items",
                (start + 40, start + 940 - i % 7 * 50),
            );
        }
        s.internal(app, APP, "serialize", (900 + n * 1_000, 1_700 + n * 1_000));
    });
    sample.trace
}

/// A failed request with orphans and every reason to distrust it.
pub fn broken() -> Trace {
    let mut sample = Sample::new("POST /api/orders");
    sample.request(31_000, |s, app| {
        s.internal(app, APP, "handler setup", (700, 1_000));
        s.query(app, "BEGIN", (1_000, 2_400));
        s.query(app, "INSERT orders", (2_400, 9_000));
        s.last()
            .attributes
            .set(attr::NOT_MEASURED, "arrival: the socket was half closed");
        s.internal(app, APP, "business logic", (21_000, 30_300));
        s.last().status = Status::Error("cancelled".into());
    });
    sample.trace.spans[0].status = Status::Error("500".into());
    sample.trace.spans[0]
        .attributes
        .set(attr::HTTP_RESPONSE_STATUS_CODE, 500i64);
    for (summary, time) in [
        ("UPDATE products", (9_500, 14_000)),
        ("COMMIT", (14_200, 20_500)),
    ] {
        sample.add(None, APP, SpanKind::Client, "db query", time);
        sample
            .last()
            .attributes
            .set(attr::DB_QUERY_SUMMARY, summary);
    }
    sample.trace.incomplete = vec![Incomplete::EventLoss, Incomplete::Orphan];
    sample.trace
}

/// Text that would drive a terminal or break out of SVG, HTML or JSON where it is not made safe.
pub const HOSTILE: &str = "\x1b]0;owned\x07\x1b[31m</text><script>alert('1')</script>]]>&\"\u{202e}\u{0}\u{fffe}\r\n├─ fake";

/// [`slow`] with hostile text wherever text can stand.
pub fn hostile() -> Trace {
    let mut trace = slow();
    trace.endpoint = HOSTILE.repeat(20);
    for span in &mut trace.spans {
        span.name = format!("{HOSTILE}{}", span.name).into();
        span.status = Status::Error(HOSTILE.into());
        let mut resource = Resource::clone(&span.resource);
        resource.service = format!("{}{HOSTILE}", resource.service).into();
        resource.host = format!("{}{HOSTILE}", resource.host).into();
        span.resource = Arc::new(resource);
        for key in [
            attr::HOP,
            attr::DB_QUERY_TEXT,
            attr::FILE_PATH,
            attr::NOT_MEASURED,
            HOSTILE,
        ] {
            span.attributes.set(key, HOSTILE);
        }
        for event in &mut span.events {
            event.name = HOSTILE.into();
            event.attributes.set(attr::CACHE_KEY, HOSTILE);
        }
        if let Some(link) = &mut span.parent {
            link.evidence = Evidence::Header(HOSTILE.into());
        }
    }
    trace
}

/// Compares with a file in `tests/golden`; `BLESS=1 cargo test` writes it anew.
pub fn golden(name: &str, actual: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{path} differs; look at it, then BLESS=1 cargo test\n{actual}"
    );
}
