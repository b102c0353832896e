//! Pass 6: a PostgreSQL exchange under the query that asked for it.

use tierscope_model::{Attributes, Evidence, Link, Span, Status, attr};
use tierscope_wire::sql;

use crate::backend::Work;
use crate::counts::Counts;
use crate::exchange::Exchange;
use crate::hop::{self, Label};
use crate::postgres::PgFacts;
use crate::process::Processes;
use crate::span_id::derive;
use crate::tree::{Query, internal};

/// Adds the exchange's spans under `parent`; without one they stay an orphan.
pub(crate) fn spans(
    query: &Query,
    parent: Option<Link>,
    processes: &mut Processes,
    counts: &mut Counts,
    out: &mut Vec<Span>,
) {
    let first = out.len();
    exchange_spans(&query.exchange, &query.work, processes, counts, out);
    if let Some(top) = out.get_mut(first) {
        top.parent = parent;
    }
}

/// The spans of one exchange, the topmost first and without a parent.
pub(crate) fn exchange_spans(
    exchange: &Exchange,
    work: &Work,
    processes: &mut Processes,
    counts: &mut Counts,
    out: &mut Vec<Span>,
) {
    let Some(facts) = exchange.postgres() else {
        return;
    };
    let hop = hop::spans(
        exchange,
        &label(exchange, facts, work),
        processes,
        counts,
        out,
    );
    let Some(server) = hop.server else { return };
    let Some(at) = out.iter().position(|span| span.span_id == server) else {
        return;
    };
    out[at].events.clone_from(&work.points);
    let phases = phase_spans(&out[at], work);
    out.extend(phases);
}

fn label(exchange: &Exchange, facts: &PgFacts, work: &Work) -> Label {
    let mut attributes = Attributes::new();
    attributes.set(attr::DB_SYSTEM_NAME, "postgresql");
    attributes.set(attr::DB_EXCHANGE, facts.kind.name());
    let reported = work
        .statement
        .as_ref()
        .filter(|_| facts.statements.is_empty());
    if let Some(statement) = facts.statements.first().or(reported) {
        attributes.set(attr::DB_QUERY_SUMMARY, sql::summary(&statement.text));
        attributes.set(attr::DB_QUERY_TEXT, statement.text.to_string());
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
        name: facts.kind.name().to_owned(),
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
    Status::Error(error)
}

fn phase_spans(server: &Span, work: &Work) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::with_capacity(work.phases.len());
    let mut phases: Vec<_> = work.phases.iter().collect();
    phases.sort_by_key(|p| (p.start, std::cmp::Reverse(p.end)));
    for (at, phase) in phases.into_iter().enumerate() {
        let enclosing = spans
            .iter()
            .rev()
            .find(|s: &&Span| s.start <= phase.start && phase.end <= s.end);
        let parent = enclosing.map_or(server.span_id, |s| s.span_id);
        let evidence = Evidence::Backend(server.resource.pid.to_string());
        let id = derive(phase.name, &[server.span_id.0, phase.start.0, at as u64]);
        let link = Link {
            span_id: parent,
            evidence,
        };
        let mut span = internal(
            id,
            Some(link),
            phase.name,
            (phase.start, phase.end),
            server.resource.clone(),
        );
        span.attributes = phase.attributes.clone();
        spans.push(span);
    }
    spans
}
