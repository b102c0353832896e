//! Why a span hangs where it hangs.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::SpanId;

/// The observation that joins a span to its parent, with the id that was observed.
///
/// Every kind is a fact from the recording, or what an imported trace states; never a statistical guess.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "lowercase")]
pub enum Evidence {
    /// The same bytes seen at both ends: `sender cookie>receiver cookie:lo-hi` (TCP sequence numbers).
    Seq(SmolStr),
    /// The same request id in both messages' heads.
    Header(SmolStr),
    /// The same request id in an application probe.
    Probe(SmolStr),
    /// The same thread, between the poll's first and last event: `thread id@ns`.
    Poll(SmolStr),
    /// The same task (spawned work that carries the request).
    Task(SmolStr),
    /// The PostgreSQL backend process that held the query: `process id`.
    Backend(SmolStr),
    /// Another tool's trace states it: the parent's id as it stands there.
    Stated(SmolStr),
    /// Another tool's trace states that it only follows the parent, which did not wait for it.
    Follows(SmolStr),
}

impl Evidence {
    /// The evidence of that kind's name; none where there is no such kind.
    pub fn of(kind: &str, id: SmolStr) -> Option<Evidence> {
        let make = match kind {
            "seq" => Evidence::Seq,
            "header" => Evidence::Header,
            "probe" => Evidence::Probe,
            "poll" => Evidence::Poll,
            "task" => Evidence::Task,
            "backend" => Evidence::Backend,
            "stated" => Evidence::Stated,
            "follows" => Evidence::Follows,
            _ => return None,
        };
        Some(make(id))
    }

    /// The kind's name, as it stands in files.
    pub fn kind(&self) -> &'static str {
        match self {
            Evidence::Seq(_) => "seq",
            Evidence::Header(_) => "header",
            Evidence::Probe(_) => "probe",
            Evidence::Poll(_) => "poll",
            Evidence::Task(_) => "task",
            Evidence::Backend(_) => "backend",
            Evidence::Stated(_) => "stated",
            Evidence::Follows(_) => "follows",
        }
    }

    /// The id that was observed.
    pub fn id(&self) -> &str {
        match self {
            Evidence::Seq(id)
            | Evidence::Header(id)
            | Evidence::Probe(id)
            | Evidence::Poll(id)
            | Evidence::Task(id)
            | Evidence::Backend(id)
            | Evidence::Stated(id)
            | Evidence::Follows(id) => id,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}

/// A span's parent and the evidence for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The parent's id, in the same trace.
    pub span_id: SpanId,
    /// Why it is the parent.
    pub evidence: Evidence,
}
