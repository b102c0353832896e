//! Spans, in OpenTelemetry's words.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Attributes, Link, Nanos, Slice, SpanId, Timestamp};

/// Whose side of a call a span shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanKind {
    /// The caller's side of a request to another process.
    Client,
    /// The callee's side.
    Server,
    /// Anything within one process or on the way between two.
    Internal,
}

/// How a span ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing said of it.
    #[default]
    Unset,
    /// It failed, for this reason.
    Error(SmolStr),
}

impl Status {
    /// Whether nothing is said of it.
    pub fn is_unset(&self) -> bool {
        *self == Status::Unset
    }
}

/// The process that a span ran in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// Service name: the lab role, else process name and port.
    pub service: SmolStr,
    /// Process name (`comm`).
    pub process: SmolStr,
    /// Process id.
    pub pid: u32,
    /// Host name.
    pub host: SmolStr,
}

/// A point in time within a span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanEvent {
    /// When.
    pub time: Timestamp,
    /// What, e.g. `cache hit`.
    pub name: SmolStr,
    /// More on it.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// One piece of work with its start and end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Derived from what was observed: the same input gives the same id.
    pub span_id: SpanId,
    /// The parent and the evidence for it; none for a root and for an orphan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Link>,
    /// Short name, e.g. `GET /api/users`, `db query`, `transfer`.
    pub name: SmolStr,
    /// Side of the call.
    pub kind: SpanKind,
    /// Start.
    pub start: Timestamp,
    /// End, never before `start`.
    pub end: Timestamp,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Status::is_unset")]
    pub status: Status,
    /// Process it ran in; for spans on the way between two processes, the sender's.
    pub resource: Arc<Resource>,
    /// Attributes.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Points in time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<SpanEvent>,
    /// What its thread did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<Slice>,
}

impl Span {
    /// Length in nanoseconds.
    pub fn duration(&self) -> Nanos {
        self.end.since(self.start)
    }

    /// The parent's span id.
    pub fn parent_id(&self) -> Option<SpanId> {
        self.parent.as_ref().map(|link| link.span_id)
    }
}
