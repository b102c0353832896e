//! One request's span tree.

use serde::{Deserialize, Serialize};

use crate::{Nanos, RequestId, Span, SpanId, TraceId};

/// Why a trace may lack something. Such traces stay out of baselines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Incomplete {
    /// Events were lost while it was open.
    EventLoss,
    /// A request had no answer within the time allowed.
    NoResponse,
    /// An answer had no request.
    NoRequest,
    /// The connection closed midway.
    ConnectionClosed,
    /// It was open when the recording began or ended.
    RecordingEdge,
    /// A span could not be joined to its parent.
    Orphan,
    /// A message's end was not seen exactly.
    MessageEnd,
    /// The memory budget was reached.
    Budget,
    /// A span of an imported trace came without its start or its length.
    NoTime,
}

/// One request: a tree of spans, keyed by the request id.
///
/// `spans[0]` is the root; the others follow in pre-order, siblings by start. Spans after the tree
/// that have no parent and are not the root are orphans: known to belong to the request, joined to nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// W3C trace id for export.
    pub trace_id: TraceId,
    /// What keys the request; none where no id was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Method and route template, e.g. `GET /api/users/{id}`.
    pub endpoint: String,
    /// Reasons why something may be missing, sorted, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<Incomplete>,
    /// The spans.
    pub spans: Vec<Span>,
}

impl Trace {
    /// The root span; none for an empty trace.
    pub fn root(&self) -> Option<&Span> {
        self.spans.first()
    }

    /// The root's duration in nanoseconds; 0 for an empty trace.
    pub fn duration(&self) -> Nanos {
        self.root().map_or(0, Span::duration)
    }

    /// The span's children in order of start.
    pub fn children(&self, parent: SpanId) -> impl Iterator<Item = &Span> {
        self.spans
            .iter()
            .filter(move |s| s.parent_id() == Some(parent))
    }

    /// Spans that could not be joined to a parent, the root excepted.
    pub fn orphans(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().skip(1).filter(|s| s.parent.is_none())
    }
}
