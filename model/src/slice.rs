//! What a thread did meanwhile.

use std::num::NonZero;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Nanos, Timestamp};

/// What a thread was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// On a CPU.
    Running,
    /// Runnable, waiting for a CPU: run-queue latency.
    Runnable,
    /// Off CPU until something wakes it.
    Waiting,
    /// Not known: its switches are not measured, or were lost.
    Unknown,
}

/// A stretch of a span's time and what the thread that worked on it (on a receive queue: that was to
/// read it) did meanwhile.
///
/// The slices of a span are in order of time and do not overlap. Where a span has slices of one thread
/// only and that thread worked for nobody else, they tile it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Start.
    pub start: Timestamp,
    /// End, after `start`.
    pub end: Timestamp,
    /// What it was doing.
    pub doing: Doing,
    /// The thread.
    pub tid: u32,
    /// Waiting: the system call, PostgreSQL's wait event (`Lock: transactionid`), or `page fault`. Runnable:
    /// [`Slice::CPU_QUOTA`], or `preempted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<SmolStr>,
    /// Runnable: what had the CPU for the longest time meanwhile (`stress-ng 4711`, or [`Slice::IDLE`]); none:
    /// that is not known. Running, on a receive queue: the request it worked for (`GET /api/report/{id} 9c1f…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<SmolStr>,
    /// For how long that did, in nanoseconds; none: all the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_ns: Option<NonZero<Nanos>>,
    /// The thread serves many requests at once, and this delay is theirs, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

impl Slice {
    /// The reason of a runnable thread whose cgroup had used its CPU quota up.
    pub const CPU_QUOTA: &'static str = "CPU quota";

    /// In place of what ran instead: nothing did, the CPU took the thread up late.
    pub const IDLE: &'static str = "an idle CPU";

    /// How long `instead` had the CPU, or was worked for, in nanoseconds.
    pub fn instead_for(&self) -> Nanos {
        match (&self.instead, self.instead_ns) {
            (None, _) => 0,
            (_, None) => self.duration(),
            (_, Some(nanos)) => nanos.get().min(self.duration()),
        }
    }

    /// Whether it was runnable and kept from a CPU by a quota.
    pub fn is_throttled(&self) -> bool {
        self.doing == Doing::Runnable && self.reason.as_deref() == Some(Self::CPU_QUOTA)
    }

    /// Length in nanoseconds.
    pub fn duration(&self) -> Nanos {
        self.end.since(self.start)
    }
}
