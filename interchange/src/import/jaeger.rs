//! Jaeger's JSON: what its UI saves and its query API answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use tierscope_model::{
    Attributes, Resource, SmolStr, SpanEvent, SpanKind, Status, Timestamp, Value,
};

use super::Format;
use super::field::{Id, Micros, trace_id, value};
use super::many::Many;
use super::odd::{Odd, Oddities};
use super::raw::{self, Raw, Stated};

/// `{"data": …}`.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) data: Many<Trace>,
}

/// A trace.
#[derive(Debug, Deserialize)]
pub(super) struct Trace {
    #[serde(rename = "traceID", default)]
    trace_id: Option<String>,
    spans: Many<Span>,
    #[serde(default, deserialize_with = "or_default")]
    processes: HashMap<String, Process>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    #[serde(rename = "traceID", default)]
    trace_id: Option<String>,
    #[serde(rename = "spanID")]
    span_id: Id,
    /// Before there were references.
    #[serde(rename = "parentSpanID", default)]
    parent_span_id: Option<String>,
    operation_name: String,
    #[serde(default)]
    references: Many<Reference>,
    #[serde(default)]
    start_time: Micros,
    #[serde(default)]
    duration: Micros,
    #[serde(default)]
    tags: Many<Tag>,
    #[serde(default)]
    logs: Many<Log>,
    #[serde(rename = "processID", default)]
    process_id: Option<String>,
    /// As the UI holds it.
    #[serde(default)]
    process: Option<Process>,
    #[serde(default, deserialize_with = "or_default")]
    warnings: Vec<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    ref_type: String,
    #[serde(rename = "traceID", default)]
    trace_id: Option<String>,
    #[serde(rename = "spanID")]
    span_id: Id,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    value: Json,
}

#[derive(Debug, Deserialize)]
struct Log {
    #[serde(default)]
    timestamp: Micros,
    #[serde(default)]
    fields: Many<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    #[serde(default)]
    service_name: String,
    #[serde(default, deserialize_with = "attributes_or_none")]
    tags: Attributes,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn attributes_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
    Many::deserialize(deserializer).map(attributes)
}

fn attributes(tags: Many<Tag>) -> Attributes {
    let mut all = Attributes::new();
    for tag in tags.0 {
        let of_type = match (tag.kind.as_str(), value(tag.value)) {
            ("int64", Value::Text(text)) => match text.parse::<i64>() {
                Ok(int) => int.into(),
                Err(_) => Value::Text(text),
            },
            (_, value) => value,
        };
        all.set(tag.key, of_type);
    }
    all
}

/// Every span of the trace.
pub(super) fn spans(trace: Trace) -> Vec<Raw> {
    let mut processes: BTreeMap<String, Described> = BTreeMap::new();
    for (id, process) in trace.processes {
        processes.insert(id, describe(process));
    }
    let own = trace.trace_id.unwrap_or_default();
    let spans = trace.spans.0.into_iter();
    spans.map(|span| one(span, &own, &processes)).collect()
}

/// A process, and what else its tags say.
type Described = (Arc<Resource>, Attributes);

fn describe(process: Process) -> Described {
    let mut tags = process.tags;
    if let Some(host) = tags.remove("hostname") {
        tags.set("host.name", host);
    }
    raw::resource(process.service_name, tags)
}

fn one(span: Span, trace: &str, processes: &BTreeMap<String, Described>) -> Raw {
    let own_trace = span.trace_id.as_deref().unwrap_or(trace);
    let known = span.process_id.and_then(|id| processes.get(&id).cloned());
    let process = known.or_else(|| span.process.map(describe));
    let mut odd = Oddities::default();
    if process.is_none() {
        odd.add(Odd::NoProcess);
    }
    let (resource, more) = process.unwrap_or_default();
    let mut tags = attributes(span.tags);
    let kind = kind(&mut tags);
    let mut raw = Raw {
        format: Format::Jaeger,
        trace: trace_id(own_trace),
        id: span.span_id,
        parent: None,
        name: span.operation_name,
        kind,
        start: span.start_time.0,
        duration: span.duration.0,
        status: status(&mut tags),
        resource,
        attributes: tags,
        events: span.logs.0.into_iter().map(event).collect(),
        odd,
    };
    for (key, value) in more.iter() {
        raw.attributes.set(key.to_owned(), value.clone());
    }
    for warning in span.warnings {
        raw.link(&format!("warning {}", value(warning)));
    }
    parents(&mut raw, span.references, span.parent_span_id);
    raw
}

/// The parent is the first CHILD_OF of this trace, else the first FOLLOWS_FROM; the others are kept as links.
fn parents(raw: &mut Raw, references: Many<Reference>, old: Option<String>) {
    let here = |r: &Reference| {
        let trace = r.trace_id.as_deref().filter(|id| !id.is_empty());
        trace.is_none_or(|id| trace_id(id) == raw.trace)
    };
    let all = &references.0;
    let child_of = all.iter().position(|r| r.ref_type != FOLLOWS && here(r));
    let parent = child_of.or_else(|| all.iter().position(here));
    for (place, reference) in references.0.into_iter().enumerate() {
        if Some(place) == parent {
            raw.parent = Some(Stated {
                follows: reference.ref_type == FOLLOWS,
                id: reference.span_id,
            });
        } else {
            let kind = reference.ref_type.to_ascii_lowercase();
            let trace = reference.trace_id.unwrap_or_default();
            raw.link(&format!("{kind} {trace}/{}", reference.span_id.stated()));
        }
    }
    let old = old.filter(|id| raw.parent.is_none() && !id.trim_matches('0').is_empty());
    raw.parent = raw.parent.take().or(old.map(|id| Stated {
        id: Id::new(&id),
        follows: false,
    }));
}

const FOLLOWS: &str = "FOLLOWS_FROM";

/// Takes the tag for it; what it says beyond client and server stays.
fn kind(tags: &mut Attributes) -> SpanKind {
    let kind = tags.text("span.kind").unwrap_or_default().to_owned();
    if matches!(kind.as_str(), "client" | "server" | "internal") {
        tags.remove("span.kind");
    }
    raw::kind(&kind)
}

/// Takes the tags for it.
fn status(tags: &mut Attributes) -> Status {
    let code = tags.remove("otel.status_code");
    let reason = tags.remove("otel.status_description");
    let failed = matches!(tags.get("error"), Some(Value::Bool(true)))
        || tags.text("error") == Some("true")
        || code == Some("ERROR".into());
    if !failed {
        return Status::Unset;
    }
    if !matches!(tags.get("error"), Some(Value::Int(_) | Value::Float(_))) {
        tags.remove("error");
    }
    Status::Error(reason.map_or(SmolStr::default(), |reason| reason.to_string().into()))
}

/// Named by its field `event`, else by its message.
fn event(log: Log) -> SpanEvent {
    let mut fields = attributes(log.fields);
    let name = ["event", "message"]
        .iter()
        .find_map(|key| fields.remove(key));
    SpanEvent {
        time: Timestamp(log.timestamp.0.unwrap_or(0)),
        name: name.map_or("log".into(), |name| name.to_string().into()),
        attributes: fields,
    }
}
