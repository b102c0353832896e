//! A span as some format states it, before it is joined to others.

use std::sync::Arc;

use tierscope_model::{Attributes, Resource, SpanEvent, SpanKind, Status, TraceId, attr};

use super::Format;
use super::field::Id;
use super::odd::{Odd, Oddities};

/// The parent that a span states.
#[derive(Clone, Debug)]
pub(super) struct Stated {
    pub(super) id: Id,
    /// The parent did not wait for it.
    pub(super) follows: bool,
}

/// One span.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) format: Format,
    pub(super) trace: TraceId,
    pub(super) id: Id,
    pub(super) parent: Option<Stated>,
    pub(super) name: String,
    pub(super) kind: SpanKind,
    /// Nanoseconds since 1970.
    pub(super) start: Option<u64>,
    /// Nanoseconds.
    pub(super) duration: Option<u64>,
    pub(super) status: Status,
    pub(super) resource: Arc<Resource>,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<SpanEvent>,
    pub(super) odd: Oddities,
}

impl Raw {
    /// Notes an oddity, once.
    pub(super) fn flag(&mut self, odd: Odd) {
        self.odd.add(odd);
    }

    /// Notes further references, after those it has.
    pub(super) fn link(&mut self, link: &str) {
        let before = self.attributes.text(attr::IMPORT_LINKS);
        let all = match before {
            Some(before) => format!("{before}, {link}"),
            None => link.to_owned(),
        };
        self.attributes.set(attr::IMPORT_LINKS, all);
    }
}

/// The side of a call that a kind's name stands for; producers call, consumers are called.
pub(super) fn kind(name: &str) -> SpanKind {
    match name.to_ascii_lowercase().as_str() {
        "client" | "producer" => SpanKind::Client,
        "server" | "consumer" => SpanKind::Server,
        _ => SpanKind::Internal,
    }
}

/// The process that attributes tell of, and what else they say, each under `resource.`.
pub(super) fn resource(service: String, mut all: Attributes) -> (Arc<Resource>, Attributes) {
    let mut text = |key| all.remove(key).map(|value| value.to_string());
    let process = text("process.executable.name").unwrap_or_default();
    let host = text("host.name").unwrap_or_default();
    let pid = all.remove(attr::PROCESS_PID).map(|pid| pid.to_string());
    let resource = Resource {
        service: service.into(),
        process: process.into(),
        pid: pid.and_then(|pid| pid.parse().ok()).unwrap_or(0),
        host: host.into(),
    };
    let mut rest = Attributes::new();
    for (key, value) in all.iter() {
        rest.set(format!("resource.{key}"), value.clone());
    }
    (Arc::new(resource), rest)
}
