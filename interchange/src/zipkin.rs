//! Zipkin v2 JSON: one flat list of spans.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use tierscope_model::{Span, SpanEvent, SpanId, SpanKind, Status, Trace, TraceId, attr};

use crate::{Clock, extra};

/// A span as `POST /api/v2/spans` takes it; times in microseconds since 1970.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZipkinSpan {
    trace_id: TraceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<SpanId>,
    id: SpanId,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    name: String,
    timestamp: u64,
    duration: u64,
    local_endpoint: Endpoint,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_endpoint: Option<Endpoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation>,
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    service_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Debug, Serialize)]
struct Annotation {
    timestamp: u64,
    value: String,
}

/// Spans for Zipkin, those of all traces in one list; a duration is at least 1 µs, as Zipkin asks.
pub fn to_zipkin(traces: &[Trace], clock: &Clock) -> Vec<ZipkinSpan> {
    let spans = traces.iter().flat_map(|trace| {
        extra::spans(trace).map(|(span, attributes)| {
            let mut tags: BTreeMap<String, String> = attributes
                .iter()
                .map(|(key, value)| (key.to_owned(), value.to_string()))
                .collect();
            let process = extra::resource(&span.resource);
            tags.extend(
                process
                    .iter()
                    .map(|(key, value)| (key.to_owned(), value.to_string())),
            );
            zipkin_span(trace.trace_id, span, tags, clock)
        })
    });
    spans.collect()
}

fn zipkin_span(
    trace_id: TraceId,
    span: &Span,
    mut tags: BTreeMap<String, String>,
    clock: &Clock,
) -> ZipkinSpan {
    let (timestamp, duration) = clock.micros(span.start, span.end);
    if let Status::Error(reason) = &span.status {
        tags.insert("error".to_owned(), reason.to_string());
    }
    ZipkinSpan {
        trace_id,
        parent_id: span.parent_id(),
        id: span.span_id,
        kind: match span.kind {
            SpanKind::Client => Some("CLIENT"),
            SpanKind::Server => Some("SERVER"),
            SpanKind::Internal => None,
        },
        name: span.name.to_string(),
        timestamp,
        duration: duration.max(1),
        local_endpoint: Endpoint {
            service_name: Some(span.resource.service.to_string()),
            ..Endpoint::default()
        },
        remote_endpoint: peer(span),
        annotations: span.events.iter().map(|e| annotation(e, clock)).collect(),
        tags,
    }
}

/// The other end of the connection, if it was seen.
fn peer(span: &Span) -> Option<Endpoint> {
    let address: IpAddr = span
        .attributes
        .text(attr::NETWORK_PEER_ADDRESS)?
        .parse()
        .ok()?;
    let port = span.attributes.int(attr::NETWORK_PEER_PORT);
    Some(Endpoint {
        service_name: None,
        ipv4: Some(address).filter(IpAddr::is_ipv4),
        ipv6: Some(address).filter(IpAddr::is_ipv6),
        port: port.and_then(|port| u16::try_from(port).ok()),
    })
}

/// The event's name, its attributes after it.
fn annotation(event: &SpanEvent, clock: &Clock) -> Annotation {
    let pairs = event.attributes.iter();
    let more: String = pairs
        .map(|(key, value)| format!(" {key}={value}"))
        .collect();
    Annotation {
        timestamp: clock.wall_ns(event.time) / 1_000,
        value: format!("{}{more}", event.name),
    }
}
