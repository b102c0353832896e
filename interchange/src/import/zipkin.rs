//! Zipkin's v2 JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use tierscope_model::{Attributes, SpanEvent, Status, Timestamp, Value, attr};

use super::Format;
use super::field::{Id, Micros, trace_id, value};
use super::many::Many;
use super::odd::Oddities;
use super::raw::{self, Raw, Stated};

/// Tags of ours and of OpenTelemetry that are integers: Zipkin knows only text.
const INTEGERS: [&str; 12] = [
    attr::HTTP_RESPONSE_STATUS_CODE,
    attr::DB_RESPONSE_RETURNED_ROWS,
    attr::NETWORK_PEER_PORT,
    attr::PROCESS_PID,
    attr::THREAD_ID,
    attr::HOP_COUNT,
    attr::BYTES,
    attr::COUNT,
    attr::RETRANSMITS,
    attr::RETRANSMIT_BYTES,
    attr::BUFFER_HITS,
    attr::BUFFER_READS,
];

/// A span.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    trace_id: String,
    id: Id,
    #[serde(default)]
    parent_id: Option<Id>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    timestamp: Micros,
    #[serde(default)]
    duration: Micros,
    #[serde(default)]
    local_endpoint: Option<Endpoint>,
    #[serde(default)]
    remote_endpoint: Option<Endpoint>,
    #[serde(default)]
    annotations: Many<Annotation>,
    #[serde(default)]
    tags: Option<BTreeMap<String, Json>>,
    #[serde(default)]
    shared: Option<bool>,
    #[serde(default)]
    debug: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[serde(default)]
    service_name: Option<String>,
    #[serde(default)]
    ipv4: Option<String>,
    #[serde(default)]
    ipv6: Option<String>,
    #[serde(default)]
    port: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    #[serde(default)]
    timestamp: Micros,
    #[serde(default)]
    value: String,
}

impl Endpoint {
    fn address(&self) -> Option<String> {
        self.ipv4.clone().or_else(|| self.ipv6.clone())
    }
}

/// The span; `shared` is told by its id, which its client has, too.
pub(super) fn span(span: Span) -> Raw {
    let mut tags = tags(span.tags.unwrap_or_default());
    let error = tags.remove("error");
    let kind = span.kind.unwrap_or_default();
    endpoints(&mut tags, &span.local_endpoint, &span.remote_endpoint);
    if matches!(kind.as_str(), "PRODUCER" | "CONSUMER") {
        tags.set("span.kind", kind.to_ascii_lowercase());
    }
    if span.debug == Some(true) {
        tags.set("zipkin.debug", true);
    }
    if span.shared == Some(true) {
        tags.set("zipkin.shared", true);
    }
    let process = process(&mut tags);
    let service = span.local_endpoint.and_then(|e| e.service_name);
    Raw {
        format: Format::Zipkin,
        trace: trace_id(&span.trace_id),
        id: span.id,
        parent: span.parent_id.map(|id| Stated { id, follows: false }),
        name: span.name.unwrap_or_default(),
        kind: raw::kind(&kind),
        start: span.timestamp.0,
        duration: span.duration.0,
        status: error.map_or(Status::Unset, |why| Status::Error(why.to_string().into())),
        resource: raw::resource(service.unwrap_or_default(), process).0,
        attributes: tags,
        events: span.annotations.0.into_iter().map(event).collect(),
        odd: Oddities::default(),
    }
}

fn tags(tags: BTreeMap<String, Json>) -> Attributes {
    let mut all = Attributes::new();
    for (key, json) in tags {
        let number = INTEGERS.contains(&key.as_str())
            || key.starts_with("tierscope.") && key.ends_with("_ns");
        let value = value(json);
        let int = number.then(|| value.to_string().parse::<i64>().ok());
        all.set(key, int.flatten().map_or(value, Value::from));
    }
    all
}

/// Takes the tags that tell of the process.
fn process(tags: &mut Attributes) -> Attributes {
    let mut process = Attributes::new();
    for key in ["process.executable.name", attr::PROCESS_PID, "host.name"] {
        if let Some(value) = tags.remove(key) {
            process.set(key, value);
        }
    }
    process
}

/// Sets the addresses of both ends, where no tag has them.
fn endpoints(tags: &mut Attributes, local: &Option<Endpoint>, remote: &Option<Endpoint>) {
    let mut set = |key: &'static str, value: Option<Value>| {
        if let Some(value) = value.filter(|_| tags.get(key).is_none()) {
            tags.set(key, value);
        }
    };
    if let Some(local) = local {
        set("network.local.address", local.address().map(Value::from));
        set("network.local.port", local.port.map(Value::from));
    }
    if let Some(remote) = remote {
        set("peer.service", remote.service_name.clone().map(Value::from));
        set(
            attr::NETWORK_PEER_ADDRESS,
            remote.address().map(Value::from),
        );
        set(attr::NETWORK_PEER_PORT, remote.port.map(Value::from));
    }
}

fn event(annotation: Annotation) -> SpanEvent {
    SpanEvent {
        time: Timestamp(annotation.timestamp.0.unwrap_or(0)),
        name: annotation.value.into(),
        attributes: Attributes::new(),
    }
}
