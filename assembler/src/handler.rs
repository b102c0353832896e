//! Pass 6: the application's handler and what happened in it.
//!
//! What lies between the probes is named by its place: `handler setup` before the first,
//! `business logic` between two, `handler end` after the last.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smol_str::{ToSmolStr, format_smolstr};
use tierscope_model::{
    Evidence, Link, Nanos, Resource, SmolStr, Span, SpanId, SpanKind, Status, Timestamp, attr,
};

use crate::app::RequestKey;
use crate::app_request::{AppRequest, Item, ItemKind};
use crate::process::Processes;
use crate::span_id::derive;
use crate::tree::internal;

/// Gaps shorter than this stay the handler's own time: the probes themselves cost about as much.
const SHORTEST_GAP: Nanos = 1_000;

/// Adds the handler's spans; `items` learns the span of each item and, under `None`, the handler's.
pub(crate) fn spans(
    key: RequestKey,
    request: &AppRequest,
    server: Option<Link>,
    processes: &mut Processes,
    out: &mut Vec<Span>,
    items: &mut FxHashMap<(RequestKey, Option<usize>), SpanId>,
) {
    let resource = processes.get(key.0, None);
    let Some(mut handler) = handler(key, request, server, &resource) else {
        return;
    };
    handler.events = request.points.clone();
    items.insert((key, None), handler.span_id);
    let mut inside: Vec<Span> = Vec::new();
    for (at, item) in request.items.iter().enumerate() {
        let span = item_span(key, at, item, handler.end, &resource);
        items.insert((key, Some(at)), span.span_id);
        inside.push(span);
    }
    let id = key.1.to_smolstr();
    nest(&handler, &mut inside, &id);
    let gaps = gaps(&handler, &inside, &id);
    out.push(handler);
    out.extend(inside);
    out.extend(gaps);
}

fn handler(
    key: RequestKey,
    request: &AppRequest,
    parent: Option<Link>,
    resource: &Arc<Resource>,
) -> Option<Span> {
    let (start, end) = request.times()?;
    let id = derive(
        "handler",
        &[
            u64::from(key.0),
            (key.1.0 >> 64) as u64,
            key.1.0 as u64,
            start.0,
        ],
    );
    let mut span = internal(id, parent, "handler", (start, end), resource.clone());
    span.attributes.set(attr::THREAD_ID, request.tid);
    if !request.path.is_empty() {
        span.attributes
            .set(attr::HTTP_REQUEST_METHOD, request.method.clone());
        span.attributes.set(attr::URL_PATH, request.path.clone());
    }
    match request.end {
        Some((_, status)) => span.attributes.set(attr::HTTP_RESPONSE_STATUS_CODE, status),
        None => span.status = Status::Error(SmolStr::new_static("no end seen")),
    }
    Some(span)
}

fn item_span(
    key: RequestKey,
    at: usize,
    item: &Item,
    until: Timestamp,
    resource: &Arc<Resource>,
) -> Span {
    let id = derive(
        "item",
        &[
            u64::from(key.0),
            (key.1.0 >> 64) as u64,
            key.1.0 as u64,
            at as u64,
        ],
    );
    let end = item.end.unwrap_or(until).max(item.start);
    let name = match &item.kind {
        ItemKind::Acquire => SmolStr::new_static("db pool wait"),
        ItemKind::Query { .. } => SmolStr::new_static("db query"),
        ItemKind::File { operation, .. } => format_smolstr!("file {operation}"),
        ItemKind::Phase { name } => name.clone(),
    };
    let mut span = internal(id, None, name, (item.start, end), resource.clone());
    span.attributes.set(attr::THREAD_ID, item.tid);
    if item.end.is_none() {
        span.status = Status::Error(SmolStr::new_static("no end seen"));
    }
    describe(&mut span, &item.kind);
    span
}

fn describe(span: &mut Span, kind: &ItemKind) {
    match kind {
        ItemKind::Query { statement, rows } => {
            span.kind = SpanKind::Client;
            span.attributes.add([
                (attr::DB_SYSTEM_NAME, "postgresql".into()),
                (attr::DB_QUERY_SUMMARY, statement.summary.clone().into()),
                (attr::DB_QUERY_TEXT, statement.text.clone().into()),
            ]);
            if let Some(rows) = rows {
                span.attributes.set(attr::DB_RESPONSE_RETURNED_ROWS, *rows);
            }
        }
        ItemKind::File {
            path,
            operation,
            bytes,
        } => {
            span.attributes.set(attr::FILE_PATH, path.clone());
            span.attributes.set(attr::FILE_OPERATION, operation.clone());
            if let Some(bytes) = bytes {
                span.attributes.set(attr::BYTES, *bytes);
            }
        }
        ItemKind::Acquire | ItemKind::Phase { .. } => {}
    }
}

/// Hangs each item under the innermost other one that encloses it, else under the handler.
fn nest(handler: &Span, items: &mut [Span], id: &SmolStr) {
    let bounds: Vec<_> = items.iter().map(|s| (s.span_id, s.start, s.end)).collect();
    for (at, item) in items.iter_mut().enumerate() {
        let encloses = |(other, outer): &(usize, &(SpanId, Timestamp, Timestamp))| {
            *other < at && outer.1 <= item.start && item.end <= outer.2
        };
        let parent = bounds
            .iter()
            .enumerate()
            .filter(encloses)
            .map(|(_, outer)| outer)
            .next_back();
        let span_id = parent.map_or(handler.span_id, |outer| outer.0);
        item.parent = Some(Link {
            span_id,
            evidence: Evidence::Probe(id.clone()),
        });
    }
}

fn gaps(handler: &Span, items: &[Span], id: &SmolStr) -> Vec<Span> {
    let mut direct: Vec<_> = items
        .iter()
        .filter(|s| s.parent_id() == Some(handler.span_id))
        .collect();
    direct.sort_by_key(|s| s.start);
    let mut gaps = Vec::new();
    let mut at = handler.start;
    let mut name = "handler setup";
    for item in direct {
        push_gap(&mut gaps, handler, name, (at, item.start), id);
        at = at.max(item.end);
        name = "business logic";
    }
    if name != "handler setup" {
        push_gap(&mut gaps, handler, "handler end", (at, handler.end), id);
    }
    gaps
}

fn push_gap(
    gaps: &mut Vec<Span>,
    handler: &Span,
    name: &'static str,
    (start, end): (Timestamp, Timestamp),
    id: &SmolStr,
) {
    if end.since(start) < SHORTEST_GAP {
        return;
    }
    let parent = Link {
        span_id: handler.span_id,
        evidence: Evidence::Probe(id.clone()),
    };
    let span_id = derive(name, &[handler.span_id.0, start.0]);
    gaps.push(internal(
        span_id,
        Some(parent),
        name,
        (start, end),
        handler.resource.clone(),
    ));
}
