//! Pass 6: everything that carries one request id becomes one tree.

use rustc_hash::FxHashMap;
use smol_str::ToSmolStr;
use tierscope_model::{
    Attributes, Evidence, Incomplete, Link, RequestId, SmolStr, Span, SpanId, SpanKind, Status,
    Timestamp, Trace, TraceId, attr,
};

use crate::app::{Binding, Proof, RequestKey};
use crate::app_request::{AppRequest, Item, ItemKind};
use crate::arrange::arrange;
use crate::backend::Work;
use crate::charge;
use crate::counts::Counts;
use crate::endpoint::route;
use crate::exchange::{Exchange, Facts};
use crate::file_spans;
use crate::handler;
use crate::hop::{self, Hop, Label};
use crate::http::HttpFacts;
use crate::joined::{self, joined};
use crate::nginx;
use crate::process::Processes;
use crate::setup::connect_span;
use crate::statement;
use crate::threads::Threads;
use crate::unseen_hop;

/// A finished PostgreSQL exchange with what its backend did.
pub(crate) struct Query {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) binding: Binding,
    pub(crate) work: Work,
}

/// Everything seen of one request.
pub(crate) struct Parts {
    pub(crate) id: Option<RequestId>,
    pub(crate) exchanges: Vec<Box<Exchange>>,
    pub(crate) queries: Vec<Query>,
    pub(crate) apps: Vec<(RequestKey, AppRequest)>,
    pub(crate) incomplete: Vec<Incomplete>,
}

impl Parts {
    /// From the first to the last that was seen of the request; none where nothing was.
    pub(crate) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        let queries = self.queries.iter().map(|query| &query.exchange);
        let exchanges = self.exchanges.iter().chain(queries);
        let exchanges = exchanges.map(|exchange| (exchange.begun, exchange.closed));
        let handlers = self.apps.iter().filter_map(|(_, request)| request.times());
        exchanges
            .chain(handlers)
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Whether the application ran a query of which no exchange was found.
    pub(crate) fn lacks_query(&self) -> bool {
        let sent = |key: RequestKey, at: usize| {
            let mut bindings = self.queries.iter().map(|query| &query.binding);
            bindings.any(|binding| (binding.request, binding.item) == (key, Some(at)))
        };
        let ran = |item: &Item| matches!(item.kind, ItemKind::Query { .. }) && item.end.is_some();
        self.apps.iter().any(|(key, request)| {
            let mut items = request.items.iter().enumerate();
            items.any(|(at, item)| ran(item) && !sent(*key, at))
        })
    }

    /// Why something may be missing, each reason once.
    fn reasons(self, orphans: bool) -> Vec<Incomplete> {
        let queries = self.queries.into_iter().map(|query| query.exchange);
        let exchanges = self.exchanges.into_iter().chain(queries);
        let mut reasons = self.incomplete;
        reasons.extend(exchanges.flat_map(|exchange| exchange.incomplete));
        reasons.extend(orphans.then_some(Incomplete::Orphan));
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    }
}

/// Spans of an exchange, with what it did at either end: most have fewer.
const USUAL: usize = 16;

/// Builds the trace of one request.
pub(crate) fn build(
    mut parts: Parts,
    processes: &mut Processes,
    threads: &mut Threads,
    counts: &mut Counts,
) -> Trace {
    parts.exchanges.sort_by_key(|x| (x.begun, x.number));
    adopt_asks(&mut parts.exchanges);
    let id = parts.id.map(|id| id.to_smolstr());
    let exchanges = parts.exchanges.len() + parts.queries.len();
    let mut spans = Vec::with_capacity(USUAL * exchanges);
    let hops: Vec<Hop> = parts
        .exchanges
        .iter()
        .map(|exchange| {
            let first = spans.len();
            let hop = hop::spans(
                exchange,
                http_label(exchange, id.as_ref()),
                processes,
                counts,
                &mut spans,
            );
            charge::receive_queues(exchange, &mut spans[first..], parts.id, threads);
            hop
        })
        .collect();
    if let Some(id) = &id {
        link_hops(&parts, &hops, id, &mut spans);
    }
    charge_workers(&parts, &hops, id.as_ref(), processes, threads, &mut spans);
    let mut items = FxHashMap::default();
    for (key, request) in &parts.apps {
        let server = server_of(&parts, &hops, *key, request);
        handler::spans(*key, request, server, processes, &mut spans, &mut items);
        unseen_hop::link(&parts, &hops, *key, &items, &mut spans);
        let item = |at: Option<usize>| items.get(&(*key, at)).copied();
        file_spans::of_items(key.1, request, item, &mut spans, threads);
        if let Some(handler) = charge::find(&mut spans, item(None)) {
            let worked = charge::worked(*key, request, handler, threads);
            charge::handler(key.0, &worked, handler, threads);
            let files = file_spans::of_handler(&worked, handler, threads);
            spans.extend(files);
        }
    }
    for query in &mut parts.queries {
        let parent = query_parent(query, &items);
        let waited = parent.as_ref();
        let waited = waited.and_then(|link| connecting(query, link, processes, &spans));
        spans.extend(waited);
        statement::spans(query, parent, processes, threads, counts, &mut spans);
    }
    finish(parts, spans, counts)
}

/// The span that stands for an exchange's root span's side of things.
fn http_label(exchange: &Exchange, id: Option<&SmolStr>) -> Label {
    let mut attributes = Attributes::new();
    let Some(facts) = exchange.http() else {
        return Label {
            name: SmolStr::default(),
            attributes,
            status: Status::Unset,
        };
    };
    if let Some(method) = &facts.method {
        attributes.set(attr::HTTP_REQUEST_METHOD, method.clone());
    }
    let route = facts.path.as_deref().map(route);
    if let Some((path, route)) = facts.path.as_ref().zip(route.clone()) {
        attributes.add([
            (attr::URL_PATH, path.clone().into()),
            (attr::HTTP_ROUTE, route.into()),
        ]);
    }
    if let Some(status) = facts.status {
        attributes.set(attr::HTTP_RESPONSE_STATUS_CODE, status);
    }
    if let Some(id) = id {
        attributes.set(attr::REQUEST_ID, id.clone());
    }
    let status = http_status(exchange, facts, &mut attributes);
    Label {
        name: endpoint(exchange, route.as_ref()),
        attributes,
        status,
    }
}

fn http_status(exchange: &Exchange, facts: &HttpFacts, attributes: &mut Attributes) -> Status {
    let error = match (exchange.error, facts.status) {
        (Some(error), _) => error.to_owned(),
        (None, Some(status)) if status >= 500 => status.to_string(),
        _ if exchange.request.is_none() => "no request".to_owned(),
        _ => return Status::Unset,
    };
    attributes.set(attr::ERROR_TYPE, error.clone());
    Status::Error(error.into())
}

fn endpoint(exchange: &Exchange, route: Option<&SmolStr>) -> SmolStr {
    let method = exchange.http().and_then(|facts| facts.method.as_deref());
    match (method.zip(route), &exchange.request) {
        (Some((method, route)), _) => joined([method.into(), " ".into(), route.as_str().into()]),
        (None, Some(_)) => SmolStr::new_static("HTTP request that was not seen"),
        (None, None) => SmolStr::new_static("HTTP answer without a request"),
    }
}

/// What a client that is not traced asked for is known from the request that its server passed on.
fn adopt_asks(exchanges: &mut [Box<Exchange>]) {
    for inner in 0..exchanges.len() {
        let asked = exchanges[inner]
            .http()
            .map(|f| (f.method.clone(), f.path.clone()));
        let Some(outer) = caller_of(exchanges, inner) else {
            continue;
        };
        if let (Facts::Http(facts), Some((method, path))) = (&mut exchanges[outer].facts, asked)
            && facts.method.is_none()
        {
            (facts.method, facts.path) = (method, path);
        }
    }
}

/// Hangs each exchange under the server span of the process that passed the request on.
fn link_hops(parts: &Parts, hops: &[Hop], id: &SmolStr, spans: &mut [Span]) {
    for at in 0..parts.exchanges.len() {
        let Some(caller) = caller_of(&parts.exchanges, at).and_then(|outer| hops[outer].server)
        else {
            continue;
        };
        let Some(span) = inner_top(spans, &hops[at]) else {
            continue;
        };
        span.parent = Some(Link {
            span_id: caller,
            evidence: Evidence::Header(id.clone()),
        });
    }
}

fn inner_top<'a>(spans: &'a mut [Span], hop: &Hop) -> Option<&'a mut Span> {
    let top = hop.top()?;
    spans.iter_mut().find(|span| span.span_id == top)
}

/// The making of a query's connection, where what it belongs to waited for that.
fn connecting(query: &Query, link: &Link, processes: &Processes, spans: &[Span]) -> Option<Span> {
    query.exchange.setup?;
    let parent = spans.iter().find(|span| span.span_id == link.span_id)?;
    connect_span(&query.exchange, parent, link.clone(), processes)
}

/// Charges the servers that no probe tells of with their worker's time, and with its files.
fn charge_workers(
    parts: &Parts,
    hops: &[Hop],
    id: Option<&SmolStr>,
    processes: &Processes,
    threads: &mut Threads,
    spans: &mut Vec<Span>,
) {
    for (at, exchange) in parts.exchanges.iter().enumerate() {
        let probed = |(key, _): &(RequestKey, AppRequest)| Some(key.0) == exchange.server.pid;
        if parts.apps.iter().any(probed) {
            continue;
        }
        let asked = 0..parts.exchanges.len();
        let asked = asked.filter(|other| caller_of(&parts.exchanges, *other) == Some(at));
        let asked: Vec<&Exchange> = asked.map(|other| &*parts.exchanges[other]).collect();
        let Some(server) = charge::find(spans, hops[at].server) else {
            continue;
        };
        charge::worker(exchange, &asked, server, threads);
        let files = file_spans::of_worker(exchange, &asked, server, threads);
        let mut steps = Vec::new();
        if let Some(id) = id.filter(|_| !asked.is_empty()) {
            nginx::note_finish(exchange, server, &files);
            steps = nginx::spans(exchange, &asked, server, id, processes);
        }
        spans.extend(files);
        spans.extend(steps);
    }
}

/// The exchange that the client of exchange `at` was serving; none where no or more than one fits.
pub(crate) fn caller_of(exchanges: &[Box<Exchange>], at: usize) -> Option<usize> {
    let inner = &exchanges[at];
    let pid = inner.client.pid?;
    let serves = |outer: &Exchange| {
        outer.server.pid == Some(pid)
            && outer
                .server_times()
                .is_some_and(|(start, _)| start <= inner.begun)
    };
    let mut fitting =
        (0..exchanges.len()).filter(|other| *other != at && serves(&exchanges[*other]));
    let caller = fitting.next()?;
    fitting.next().is_none().then_some(caller)
}

/// The server span that an application's handler runs in, and the evidence.
fn server_of(parts: &Parts, hops: &[Hop], key: RequestKey, request: &AppRequest) -> Option<Link> {
    let at = parts
        .exchanges
        .iter()
        .position(|x| x.server.pid == Some(key.0))?;
    // The start of one whose request was not seen is not known.
    let (start, _) = parts.exchanges[at].server_times()?;
    if request.times().is_some_and(|(begun, _)| begun < start) {
        return None;
    }
    let server = &parts.exchanges[at].server;
    let evidence = match request.read {
        Some(read) if Some(read.cookie) == server.cookie => {
            Evidence::Poll(joined::poll(read.tid, read.time))
        }
        _ => Evidence::Probe(key.1.to_smolstr()),
    };
    hops[at].server.map(|span_id| Link { span_id, evidence })
}

fn query_parent(
    query: &Query,
    items: &FxHashMap<(RequestKey, Option<usize>), SpanId>,
) -> Option<Link> {
    let Binding {
        request,
        item,
        proof,
    } = &query.binding;
    let span_id = *items.get(&(*request, *item))?;
    let evidence = match proof {
        Proof::Poll(tid, time) => Evidence::Poll(joined::poll(*tid, *time)),
        Proof::Statement => Evidence::Probe(request.1.to_smolstr()),
        Proof::Transaction => {
            Evidence::Backend(query.exchange.server.pid.unwrap_or(0).to_smolstr())
        }
    };
    Some(Link { span_id, evidence })
}

/// Orders the spans, names the root, counts what is not joined.
fn finish(parts: Parts, spans: Vec<Span>, counts: &mut Counts) -> Trace {
    let continued = parts
        .exchanges
        .iter()
        .filter_map(|exchange| exchange.http())
        .find_map(|f| f.traceparent);
    let mut spans = arrange(spans);
    let orphans = spans
        .iter()
        .skip(1)
        .filter(|span| span.parent.is_none())
        .count() as u64;
    name_root(
        &mut spans,
        parts
            .exchanges
            .iter()
            .filter_map(|exchange| exchange.http()),
    );
    counts.orphan_spans += orphans;
    counts.spans += spans.len() as u64;
    let own = parts.id.map_or_else(
        || spans.first().map_or(0, |s| u128::from(s.span_id.0)),
        |id| id.0,
    );
    let trace_id = continued.map_or(TraceId(own), |parent| parent.trace_id);
    let endpoint = match parts.exchanges.first() {
        Some(outermost) => {
            let path = outermost.http().and_then(|facts| facts.path.as_deref());
            endpoint(outermost, path.map(route).as_ref()).into()
        }
        None => "request without a connection".to_owned(),
    };
    Trace {
        trace_id,
        request_id: parts.id,
        endpoint,
        incomplete: parts.reasons(orphans > 0),
        spans,
    }
}

/// The ids that the client chose stand on the root.
fn name_root<'a>(spans: &mut [Span], facts: impl Iterator<Item = &'a HttpFacts>) {
    let Some(root) = spans.first_mut() else {
        return;
    };
    for facts in facts {
        if let Some(id) = &facts.client_request_id {
            root.attributes.set(attr::CLIENT_REQUEST_ID, id.clone());
        }
        if let Some(id) = &facts.client_trace_id {
            root.attributes.set(attr::CLIENT_TRACE_ID, id.clone());
        }
    }
}

/// A span inside one process.
pub(crate) fn internal(
    span_id: SpanId,
    parent: Option<Link>,
    name: impl Into<SmolStr>,
    (start, end): (Timestamp, Timestamp),
    resource: std::sync::Arc<tierscope_model::Resource>,
) -> Span {
    Span {
        span_id,
        parent,
        name: name.into(),
        kind: SpanKind::Internal,
        start,
        end,
        status: Status::Unset,
        resource,
        attributes: Attributes::new(),
        events: Vec::new(),
        slices: Vec::new(),
    }
}
