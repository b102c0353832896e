//! What was found, in numbers and in a sentence.

use serde::{Deserialize, Serialize};
use tierscope_model::{Nanos, RequestId, SpanId, Timestamp, TraceId};

use crate::cause::CauseKind;
use crate::detect::{pattern, repeats, shape};
use crate::limit::{Limit, floor};

/// The kinds of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A statement took long, and not for a reason that is a finding of its own.
    SlowQuery,
    /// One statement was run again and again.
    NPlusOne,
    /// Bytes lay unread in a socket's buffer.
    SocketBuffer,
    /// A lost segment was waited for.
    Retransmit,
    /// The sender's own host dropped a packet before it left.
    SendFailure,
    /// A thread waited for a CPU.
    RunQueue,
    /// A thread's cgroup had used its CPU quota up.
    Throttled,
    /// A pooled connection was waited for.
    PoolWait,
    /// A PostgreSQL lock was waited for.
    LockWait,
    /// A lightweight lock inside PostgreSQL was waited for.
    LwlockWait,
    /// A disk was waited for.
    DiskWait,
    /// A server that passes requests on held them up, or was stopped.
    Stall,
    /// The application computed for long.
    AppCpu,
    /// The application's file operation took long.
    SlowFile,
    /// Bytes were long on their way, or long in leaving.
    SlowNetwork,
    /// Nothing worked for the request, and nothing else is known that it waited for.
    Asleep,
    /// More file operations, bytes or disk requests than normal.
    IoPattern,
    /// Calls that are new for this endpoint.
    UnseenShape,
    /// Lookups that used to hit the cache miss it (of a window).
    CacheMisses,
    /// The request rate changed (of a window).
    LoadShift,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 20] = [
        Kind::SlowQuery,
        Kind::NPlusOne,
        Kind::SocketBuffer,
        Kind::Retransmit,
        Kind::SendFailure,
        Kind::RunQueue,
        Kind::Throttled,
        Kind::PoolWait,
        Kind::LockWait,
        Kind::LwlockWait,
        Kind::DiskWait,
        Kind::Stall,
        Kind::AppCpu,
        Kind::SlowFile,
        Kind::SlowNetwork,
        Kind::Asleep,
        Kind::IoPattern,
        Kind::UnseenShape,
        Kind::CacheMisses,
        Kind::LoadShift,
    ];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The cost from which on it is a finding of a request, whatever it is of; none for what is found in windows
    /// only.
    pub fn floor(self) -> Option<Nanos> {
        let waits = CauseKind::ALL.into_iter();
        match self {
            Kind::NPlusOne => Some(repeats::FLOOR),
            Kind::IoPattern => Some(pattern::FLOOR),
            Kind::UnseenShape => Some(shape::FLOOR),
            kind => waits.filter(|c| c.finding() == kind).map(floor).max(),
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Kind::SlowQuery => "slow query",
            Kind::NPlusOne => "N+1 queries",
            Kind::SocketBuffer => "socket-buffer wait",
            Kind::Retransmit => "retransmit",
            Kind::SendFailure => "send failure",
            Kind::RunQueue => "run-queue wait",
            Kind::Throttled => "CPU quota",
            Kind::PoolWait => "pool wait",
            Kind::LockWait => "lock wait",
            Kind::LwlockWait => "lwlock wait",
            Kind::DiskWait => "disk wait",
            Kind::Stall => "stall",
            Kind::AppCpu => "app CPU",
            Kind::SlowFile => "slow file I/O",
            Kind::SlowNetwork => "slow network",
            Kind::Asleep => "asleep",
            Kind::IoPattern => "I/O pattern",
            Kind::UnseenShape => "unseen shape",
            Kind::CacheMisses => "cache misses",
            Kind::LoadShift => "load shift",
        }
    }
}

/// One thing that made one request slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which kind.
    pub kind: Kind,
    /// Of a wait for a pooled connection: the kind of what its holders spent most of that time with, where it is
    /// half of it or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Kind>,
    /// Of what: a hop in the bytes' direction (`nginx → app`), a service, a statement, a file operation.
    pub of: String,
    /// The span that shows it best.
    pub span: Option<SpanId>,
    /// What it cost: its time on the critical path over its typical one, in nanoseconds.
    pub cost_ns: Nanos,
    /// The value that was judged: nanoseconds, or a count.
    pub value: u64,
    /// What is normal of this value, and the limit that it crossed.
    pub normal: Limit,
    /// The least cost that is a finding, in nanoseconds.
    pub floor_ns: Nanos,
    /// Share of normal requests that are as bad: (1 + those at least as great) ÷ (n + 1).
    pub p: f64,
    /// It in a sentence, with its numbers.
    pub sentence: String,
    /// The limit that it crossed, in words.
    pub threshold: String,
}

impl Finding {
    /// What is at the root of it: what it was a wait behind, or its own kind.
    pub fn root(&self) -> Kind {
        self.behind.unwrap_or(self.kind)
    }
}

/// A part of the difference between a request and its endpoint's typical one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Where in the tree.
    pub place: String,
    /// What went on there, e.g. `on_cpu`.
    pub state: String,
    /// Time on the critical path less the typical one's mean, in nanoseconds.
    pub delta_ns: i64,
}

/// A request with findings, and why it took longer than typical: `duration_ns − baseline_ns` is the
/// sum of its deltas, exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flagged {
    /// Method and route template.
    pub endpoint: String,
    /// What keys the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The trace's id.
    pub trace_id: TraceId,
    /// When it began.
    pub start: Timestamp,
    /// How long it took.
    pub duration_ns: Nanos,
    /// Mean duration of the endpoint's typical requests (p25 to p75).
    pub baseline_ns: Nanos,
    /// Sum of all deltas: `duration_ns − baseline_ns`.
    pub excess_ns: i64,
    /// What was found, dearest first.
    pub findings: Vec<Finding>,
    /// The largest deltas; the last one, `(all others)`, is what is left.
    pub deltas: Vec<Delta>,
}
