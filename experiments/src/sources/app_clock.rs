//! The app's own clock against the kernel's, around the same piece of work.

use std::collections::HashMap;

use tierscope_model::{Body, Event, Nanos, Probe, RequestId, Span, SpanKind, Timestamp, Trace};

use crate::check::{Check, Promise};
use crate::quantile::Quantiles;

const REQUEST: Promise = Promise {
    name: "app_request_clock",
    bound: "p99 of the difference at most 50 µs",
    includes: "theirs: the app's clock, read inside request_start and request_end; ours: the kernel's time of \
               these two hits. Beside it, last read of the request → last write of the answer",
};
const QUERY: Promise = Promise {
    name: "app_query_clock",
    bound: "p99 of the difference at most 50 µs",
    includes: "theirs: the app's clock, read inside db_query_start and db_query_end; ours: the kernel's time of \
               these two hits. Beside it, first write of the query → last read of its answer",
};
const BOUND_US: f64 = 50.0;
/// Ends that wait for their trace; more are not compared.
const LIMIT: usize = 1 << 20;

/// What differs, ns.
#[derive(Debug, Default)]
struct Differences {
    probes: Vec<Nanos>,
    sockets: Vec<Nanos>,
}

/// Both sides of every handler and query.
#[derive(Debug, Default)]
pub(super) struct AppClock {
    /// The app's duration, by request and the kernel's time of the end.
    said: HashMap<(RequestId, Timestamp), Nanos>,
    requests: Differences,
    queries: Differences,
}

impl AppClock {
    pub(super) fn event(&mut self, event: &Event) {
        let Body::Usdt(usdt) = &event.body else {
            return;
        };
        let duration = match usdt.probe {
            Probe::RequestEnd => usdt.args[3],
            Probe::DbQueryEnd => usdt.args[2],
            _ => return,
        };
        // 0: the start was not traced.
        if duration > 0 && self.said.len() < LIMIT {
            let id = u128::from(usdt.args[0]) << 64 | u128::from(usdt.args[1]);
            self.said.insert((RequestId(id), event.time), duration);
        }
    }

    pub(super) fn trace(&mut self, trace: &Trace) {
        let Some(id) = trace.request_id else { return };
        for span in &trace.spans {
            let differences = match &*span.name {
                "handler" => &mut self.requests,
                "db query" => &mut self.queries,
                _ => continue,
            };
            let Some(theirs) = self.said.remove(&(id, span.end)) else {
                continue;
            };
            differences.probes.push(theirs.abs_diff(span.duration()));
            let sockets = between_sockets(trace, span);
            differences
                .sockets
                .extend(sockets.map(|ours| theirs.abs_diff(ours)));
        }
    }

    pub(super) fn finish(self) -> Vec<Check> {
        vec![judge(REQUEST, self.requests), judge(QUERY, self.queries)]
    }
}

/// The same work as the sockets tell it: a handler's server span, a query's exchanges.
fn between_sockets(trace: &Trace, span: &Span) -> Option<Nanos> {
    if span.name == "handler" {
        let server = span.parent_id()?;
        let server = trace.spans.iter().find(|s| s.span_id == server)?;
        return Some(server.duration());
    }
    let exchanges = || {
        let children = trace.children(span.span_id);
        children.filter(|child| child.kind == SpanKind::Client)
    };
    let begin = exchanges().map(|span| span.start).min()?;
    let end = exchanges().map(|span| span.end).max()?;
    Some(end.since(begin))
}

fn judge(promise: Promise, differences: Differences) -> Check {
    let compared = differences.probes.len();
    if compared == 0 {
        return promise.not_checked("the app's probes are not in the recording");
    }
    let probes = Quantiles::of_ns(differences.probes);
    let sockets = Quantiles::of_ns(differences.sockets);
    let value = format!(
        "p50 {:.1} µs, p99 {:.1} µs of {compared}; to the sockets' times p50 {:.1} µs, p99 {:.1} µs",
        probes.p50, probes.p99, sockets.p50, sockets.p99
    );
    promise.judged(
        probes.p99 <= BOUND_US,
        value,
        &[
            ("compared", compared as f64),
            ("p50_us", probes.p50),
            ("p99_us", probes.p99),
            ("sockets_p50_us", sockets.p50),
            ("sockets_p99_us", sockets.p99),
        ],
    )
}
