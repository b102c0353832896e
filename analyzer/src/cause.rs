//! What a nanosecond of the critical path is put down to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::finding::Kind;

/// The kinds of cause. Every nanosecond of a request's critical path has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A lost segment kept bytes from their reader.
    Retransmit,
    /// A packet that its sender's own host had dropped waited to be sent anew.
    SendFailure,
    /// Bytes lay in a socket's receive queue while their reader did something else, or slept.
    Unread,
    /// A thread was runnable and had no CPU, or bytes lay unread for that reason.
    RunQueue,
    /// The same, and it was its cgroup's CPU quota that was used up.
    Throttled,
    /// Bytes had been written and had not left.
    Send,
    /// Bytes were on the way, or a connection was being made.
    Wire,
    /// A connection of the pool was waited for.
    Pool,
    /// A PostgreSQL lock was waited for.
    Lock,
    /// A lightweight lock inside PostgreSQL was waited for.
    Lwlock,
    /// A process waited for a disk.
    Disk,
    /// The application's own file operation.
    File,
    /// PostgreSQL worked on a statement.
    Execution,
    /// A server that passes requests on was at it.
    Proxy,
    /// A process was stopped.
    Stopped,
    /// The application was on a CPU.
    Cpu,
    /// No thread worked for the request, and nothing else is known that it waited for.
    Asleep,
}

/// A kind of cause, and of what: a hop, a service, a statement, a file operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// Which kind.
    pub kind: CauseKind,
    /// Of what: for the ways of bytes both ends in the bytes' direction (`nginx → app`), else a
    /// service, a statement or a file operation.
    pub of: Arc<str>,
}

impl Cause {
    /// A cause; `back` turns a hop around.
    pub(crate) fn new(kind: CauseKind, of: &Arc<str>, back: bool) -> Cause {
        let of = match of.split_once(" → ") {
            Some((near, far)) if back && kind.is_way() => format!("{far} → {near}").into(),
            _ => of.clone(),
        };
        Cause { kind, of }
    }

    /// The end that was to read; for other causes the whole of what it is of.
    pub fn reader(&self) -> &str {
        self.of.split_once(" → ").map_or(&self.of, |(_, to)| to)
    }
}

impl CauseKind {
    /// All of them.
    pub(crate) const ALL: [CauseKind; 17] = [
        CauseKind::Retransmit,
        CauseKind::SendFailure,
        CauseKind::Unread,
        CauseKind::RunQueue,
        CauseKind::Throttled,
        CauseKind::Send,
        CauseKind::Wire,
        CauseKind::Pool,
        CauseKind::Lock,
        CauseKind::Lwlock,
        CauseKind::Disk,
        CauseKind::File,
        CauseKind::Execution,
        CauseKind::Proxy,
        CauseKind::Stopped,
        CauseKind::Cpu,
        CauseKind::Asleep,
    ];

    /// Whether it is of bytes on their way between two processes.
    pub fn is_way(self) -> bool {
        matches!(
            self,
            CauseKind::Retransmit
                | CauseKind::SendFailure
                | CauseKind::Unread
                | CauseKind::Send
                | CauseKind::Wire
        )
    }

    /// The kind of finding that too much of it is.
    pub fn finding(self) -> Kind {
        match self {
            CauseKind::Retransmit => Kind::Retransmit,
            CauseKind::SendFailure => Kind::SendFailure,
            CauseKind::Unread => Kind::SocketBuffer,
            CauseKind::RunQueue => Kind::RunQueue,
            CauseKind::Throttled => Kind::Throttled,
            CauseKind::Send | CauseKind::Wire => Kind::SlowNetwork,
            CauseKind::Pool => Kind::PoolWait,
            CauseKind::Lock => Kind::LockWait,
            CauseKind::Lwlock => Kind::LwlockWait,
            CauseKind::Disk => Kind::DiskWait,
            CauseKind::File => Kind::SlowFile,
            CauseKind::Execution => Kind::SlowQuery,
            CauseKind::Proxy | CauseKind::Stopped => Kind::Stall,
            CauseKind::Cpu => Kind::AppCpu,
            CauseKind::Asleep => Kind::Asleep,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            CauseKind::Retransmit => "retransmit",
            CauseKind::SendFailure => "send failure",
            CauseKind::Unread => "receive queue",
            CauseKind::RunQueue => "run queue",
            CauseKind::Throttled => "CPU quota",
            CauseKind::Send => "send",
            CauseKind::Wire => "wire",
            CauseKind::Pool => "db pool wait",
            CauseKind::Lock => "lock wait",
            CauseKind::Lwlock => "lwlock wait",
            CauseKind::Disk => "disk wait",
            CauseKind::File => "file I/O",
            CauseKind::Execution => "execution",
            CauseKind::Proxy => "proxy",
            CauseKind::Stopped => "stopped",
            CauseKind::Cpu => "on CPU",
            CauseKind::Asleep => "asleep",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of.is_empty() {
            true => f.write_str(self.kind.name()),
            false => write!(f, "{}, {}", self.kind.name(), self.of),
        }
    }
}
