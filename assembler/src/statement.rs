//! Pass 6: a PostgreSQL exchange under the query that asked for it.

use tierscope_model::{Attributes, Link, RequestId, SmolStr, Span, Status, attr};

use crate::backend::{self, Work};
use crate::charge;
use crate::counts::Counts;
use crate::exchange::Exchange;
use crate::hop::{self, Label};
use crate::postgres::PgFacts;
use crate::process::Processes;
use crate::threads::Threads;
use crate::tree::Query;

/// Adds the exchange's spans under `parent`; without one they stay an orphan.
pub(crate) fn spans(
    query: &mut Query,
    parent: Option<Link>,
    processes: &mut Processes,
    threads: &Threads,
    counts: &mut Counts,
    out: &mut Vec<Span>,
) {
    let first = out.len();
    let (exchange, id) = (&query.exchange, Some(query.binding.request.1));
    let work = std::mem::take(&mut query.work);
    exchange_spans(exchange, work, id, processes, threads, counts, out);
    if let Some(top) = out.get_mut(first) {
        top.parent = parent;
    }
}

/// The spans of one exchange, of request `id`, the topmost first and without a parent.
pub(crate) fn exchange_spans(
    exchange: &Exchange,
    work: Work,
    id: Option<RequestId>,
    processes: &mut Processes,
    threads: &Threads,
    counts: &mut Counts,
    out: &mut Vec<Span>,
) {
    let Some(facts) = exchange.postgres() else {
        return;
    };
    let first = out.len();
    let hop = hop::spans(
        exchange,
        label(exchange, facts, &work),
        processes,
        counts,
        out,
    );
    charge::receive_queues(exchange, &mut out[first..], id, threads);
    let Some(server) = charge::find(&mut out[first..], hop.server) else {
        return;
    };
    let Work {
        phases,
        points,
        attributes,
        slices,
        ..
    } = work;
    server.events = points;
    server.attributes.append(attributes);
    charge::put(server, slices);
    let phases = backend::spans(phases, server, &facts.completed);
    out.extend(phases);
}

fn label(exchange: &Exchange, facts: &PgFacts, work: &Work) -> Label {
    let mut attributes = Attributes::new();
    attributes.add([
        (attr::DB_SYSTEM_NAME, "postgresql".into()),
        (attr::DB_EXCHANGE, facts.kind.name().into()),
    ]);
    let reported = work
        .statement
        .as_ref()
        .filter(|_| facts.statements.is_empty());
    if let Some(statement) = facts.statements.first().or(reported) {
        attributes.add([
            (attr::DB_QUERY_SUMMARY, statement.summary.clone().into()),
            (attr::DB_QUERY_TEXT, statement.text.clone().into()),
        ]);
    }
    if let Some(rows) = facts.rows {
        attributes.set(attr::DB_RESPONSE_RETURNED_ROWS, rows);
    }
    if facts.executes > 1 {
        attributes.set("tierscope.db.executes", facts.executes);
    }
    if facts.kind.is_upkeep() {
        attributes.set(attr::UPKEEP, facts.kind.name());
    }
    let status = status(exchange, facts, &mut attributes);
    Label {
        name: SmolStr::new_static(facts.kind.name()),
        attributes,
        status,
    }
}

fn status(exchange: &Exchange, facts: &PgFacts, attributes: &mut Attributes) -> Status {
    if let Some(code) = &facts.sqlstate {
        attributes.set(attr::DB_RESPONSE_STATUS_CODE, code.clone());
    }
    let Some(error) = facts.sqlstate.clone().or(exchange.error.map(str::to_owned)) else {
        return Status::Unset;
    };
    attributes.set(attr::ERROR_TYPE, error.clone());
    Status::Error(error.into())
}
