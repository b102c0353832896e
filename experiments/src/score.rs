//! The published score of one run: what the client saw and what the bytes carry, against the trees.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use tierscope_assembler::Counts;
use tierscope_loadgen::Record;
use tierscope_model::{RequestId, Span, SpanKind, Trace, attr};

use crate::check::Check;
use crate::detection::Detection;
use crate::quantile::Quantiles;
use crate::stitch::{Truth, Verdicts};

/// How the reason of a trace begins that says itself that something may be missing.
const MARKED: &str = "marked ";
/// And that of a request that got no answer.
const CLIENT_ERROR: &str = "client error: ";

/// `score.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Requests that the load generator sent.
    pub requests: u64,
    /// Of them, those whose trace has every hop and every query, with both messages of each.
    pub complete: u64,
    /// The others, by the first reason found.
    pub incomplete_by_reason: BTreeMap<String, u64>,
    /// Spans that were joined to nothing.
    pub orphan_spans: u64,
    /// All spans.
    pub spans: u64,
    /// Edges to a wrong request.
    pub mis_stitched: u64,
    /// Verdicts per edge kind.
    pub edges: BTreeMap<String, Verdicts>,
    /// Events that the tracer could not deliver.
    pub lost_events: u64,
    /// Returns of threads to a CPU that the kernel told nobody: what those threads did before is not known.
    pub unseen_returns: u64,
    /// |client's own duration − the trace's|, µs.
    pub client_vs_trace_us: Quantiles,
    /// Parts that do not sum, children outside their parent without a flag.
    pub conservation_violations: u64,
    /// Parts that would have been negative.
    pub negative_durations: u64,
    /// Share of the messages that the client saw whose head and end were found.
    pub http_parse_success: f64,
    /// Events left out in the kernel, by reason.
    pub events_filtered: BTreeMap<String, u64>,
    /// Requests whose health check is recorded but stays out of baselines and findings.
    pub health_requests: u64,
    /// Each promise of a run, with what came of it.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// How well the run's findings name what was injected.
    #[serde(default)]
    pub findings: Option<Detection>,
    /// Kernel, nginx, PostgreSQL, tierscope.
    pub versions: BTreeMap<String, String>,
    /// What the run was asked to do.
    pub settings: serde_json::Value,
}

/// Judges traces as they come and makes the score at the end.
#[derive(Debug)]
pub struct Scorer<'a> {
    client: &'a [Record],
    by_id: HashMap<RequestId, &'a Record>,
    /// Requests that have a trace, with the first reason why it is not complete.
    seen: HashMap<RequestId, Option<String>>,
    requests: Verdicts,
    queries: Verdicts,
    messages: u64,
    differences: Vec<u64>,
}

impl<'a> Scorer<'a> {
    /// Holds traces against what the load generator saw.
    pub fn new(client: &'a [Record]) -> Scorer<'a> {
        let with_id = client
            .iter()
            .filter_map(|record| Some((id_of(record)?, record)));
        Scorer {
            client,
            by_id: with_id.collect(),
            seen: HashMap::new(),
            requests: Verdicts::default(),
            queries: Verdicts::default(),
            messages: 0,
            differences: Vec::new(),
        }
    }

    /// Judges one trace: a request's, or what belongs to none.
    pub fn trace(&mut self, trace: &Trace, truth: &Truth) {
        truth.judge(trace, &mut self.queries);
        let Some(id) = trace.request_id else { return };
        let Some(record) = self.by_id.get(&id) else {
            return;
        };
        self.seen.insert(id, incomplete(record, trace));
        self.messages += trace.root().map_or(0, messages_of);
        self.differences.extend(difference(record, trace));
        judge_request(record, trace, &mut self.requests);
    }

    /// The score; versions, settings and filtered events are the caller's to fill in.
    pub fn finish(self, counts: &Counts) -> Score {
        let mut score = Score {
            requests: self.client.len() as u64,
            orphan_spans: counts.orphan_spans,
            spans: counts.spans,
            lost_events: counts.lost_events,
            unseen_returns: counts.unseen_returns,
            conservation_violations: counts.conservation_violations,
            negative_durations: counts.negative_durations,
            health_requests: self
                .client
                .iter()
                .filter(|r| &*r.endpoint == "health")
                .count() as u64,
            mis_stitched: self.requests.mis_stitched + self.queries.mis_stitched,
            edges: BTreeMap::from([
                ("request".to_owned(), self.requests),
                ("query".to_owned(), self.queries),
            ]),
            ..Score::default()
        };
        for record in self.client {
            match self.reason(record) {
                None => score.complete += 1,
                Some(reason) => *score.incomplete_by_reason.entry(reason).or_default() += 1,
            }
        }
        let answered = self.client.iter().filter(|r| r.status.is_some()).count() as u64;
        if answered > 0 {
            score.http_parse_success = self.messages as f64 / (2 * answered) as f64;
        }
        score.client_vs_trace_us = Quantiles::of_ns(self.differences);
        score
    }

    /// Why a request does not count as complete; none where it does.
    fn reason(&self, record: &Record) -> Option<String> {
        if record.status.is_none() {
            let error = record.error.map_or("unknown", |e| e.name());
            return Some(format!("{CLIENT_ERROR}{error}"));
        }
        let Some(id) = id_of(record) else {
            return Some("the answer carried no id".to_owned());
        };
        let verdict = self.seen.get(&id).cloned();
        verdict.unwrap_or_else(|| Some("no trace".to_owned()))
    }
}

impl Score {
    /// Share of the requests that are complete.
    pub fn complete_share(&self) -> f64 {
        self.complete as f64 / self.requests.max(1) as f64
    }

    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// What a trace lacked that does not say itself that it lacks something, by reason.
    pub fn unmarked(&self) -> impl Iterator<Item = (&str, u64)> {
        let said = |reason: &str| reason.starts_with(MARKED) || reason.starts_with(CLIENT_ERROR);
        let reasons = self.incomplete_by_reason.iter();
        reasons
            .map(|(reason, n)| (reason.as_str(), *n))
            .filter(move |(reason, _)| !said(reason))
    }
}

pub(crate) fn id_of(record: &Record) -> Option<RequestId> {
    record.id.as_deref()?.parse().ok()
}

/// Why a request's trace is not complete; none where it is.
fn incomplete(record: &Record, trace: &Trace) -> Option<String> {
    if let Some(reason) = trace.incomplete.first() {
        return Some(format!("{MARKED}{reason:?}"));
    }
    let exchanges = |service: &str, inner: &str| {
        trace
            .spans
            .iter()
            .filter(|s| {
                s.kind == SpanKind::Client
                    && s.resource.service == service
                    && serves(trace, s, inner)
            })
            .count()
    };
    for (outer, inner) in [("loadgen", "nginx"), ("nginx", "app")] {
        if exchanges(outer, inner) != 1 {
            return Some(format!("hop {outer} → {inner} missing or not whole"));
        }
    }
    queries_incomplete(record, trace)
}

fn queries_incomplete(record: &Record, trace: &Trace) -> Option<String> {
    let queries: Vec<_> = trace
        .spans
        .iter()
        .filter(|s| s.name == "db query")
        .collect();
    let expected = record.queries.unwrap_or(0) as usize;
    if queries.len() != expected {
        return Some(format!("{} of {expected} queries", queries.len()));
    }
    let whole = |query: &&Span| {
        trace.children(query.span_id).any(|exchange| {
            let kind = exchange.attributes.text(attr::DB_EXCHANGE);
            matches!(kind, Some("query" | "simple query")) && serves(trace, exchange, "postgres")
        })
    };
    (!queries.iter().all(whole)).then(|| "hop app → postgres missing or not whole".to_owned())
}

/// Whether the exchange has both messages and its other end's span.
fn serves(trace: &Trace, client: &Span, service: &str) -> bool {
    let ways = |direction: &str| {
        let part = |s: &&Span| s.attributes.text(attr::DIRECTION) == Some(direction);
        trace.children(client.span_id).filter(part).count() >= 2
    };
    let server = trace
        .children(client.span_id)
        .any(|s| s.kind == SpanKind::Server && s.resource.service == service);
    messages_of(client) == 2 && ways("request") && ways("response") && server
}

fn messages_of(client: &Span) -> u64 {
    [attr::REQUEST_RANGE, attr::RESPONSE_RANGE]
        .iter()
        .filter(|key| client.attributes.get(key).is_some())
        .count() as u64
}

fn difference(record: &Record, trace: &Trace) -> Option<u64> {
    let client = record.last_byte_ns?.checked_sub(record.send_ns?)?;
    Some(client.abs_diff(trace.duration()))
}

/// The tree that carries an id must be of the request that the client sent: same method and path on
/// the root and in the handler, and the client's own connection.
fn judge_request(record: &Record, trace: &Trace, verdicts: &mut Verdicts) {
    let Some(root) = trace.root() else { return };
    let says = |span: &Span, key: &str, value: &str| {
        span.attributes.text(key).is_none_or(|text| text == value)
    };
    let handlers = trace.spans.iter().filter(|s| s.name == "handler");
    let same = std::iter::once(root).chain(handlers).all(|span| {
        says(span, attr::URL_PATH, &record.path)
            && says(span, attr::HTTP_REQUEST_METHOD, &record.method)
    });
    let server = trace
        .children(root.span_id)
        .find(|s| s.kind == SpanKind::Server);
    let port = server.and_then(|s| s.attributes.int(attr::NETWORK_PEER_PORT));
    let same_port = port.is_none() || port == record.local_port.map(i64::from);
    if same && same_port {
        verdicts.correct += 1;
    } else {
        verdicts.mis_stitched += 1;
    }
}
