//! The critical path, cut by what the kernel saw.

use serde::{Deserialize, Serialize};
use tierscope_model::{Doing, Nanos, Slice, Span, Timestamp, Trace};

use crate::path::Overlap;
use crate::role::{Role, roles};
use crate::tree::Tree;

/// What went on in a stretch of the critical path. Where several hold at once the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A lost segment kept bytes from their reader.
    Hole,
    /// A packet that its own host had dropped waited to be sent anew.
    Dropped,
    /// Bytes were there and nobody read them.
    Unread,
    /// The same, and their reader was runnable and had no CPU.
    UnreadRunnable,
    /// The thread was runnable and had no CPU.
    Runnable,
    /// The thread, or the one that was to read, was runnable and its cgroup's CPU quota was used up.
    Throttled,
    /// The thread was on a CPU.
    OnCpu,
    /// The thread waited for a lock.
    Lock,
    /// The thread waited for a disk, or for a page.
    Disk,
    /// The thread was stopped.
    Stopped,
    /// The thread was asleep for another reason.
    Asleep,
    /// Bytes were on their way.
    Moving,
    /// No thread is known to have worked on it.
    Unknown,
}

impl State {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            State::Hole => "retransmit hole",
            State::Dropped => "dropped, not sent",
            State::Unread => "unread",
            State::UnreadRunnable => "unread, no CPU",
            State::Runnable => "runnable",
            State::Throttled => "runnable, no quota",
            State::OnCpu => "on CPU",
            State::Lock => "lock",
            State::Disk => "disk",
            State::Stopped => "stopped",
            State::Asleep => "asleep",
            State::Moving => "moving",
            State::Unknown => "not known",
        }
    }
}

/// A stretch of the critical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whose own time it is: its place in `trace.spans`.
    pub span: usize,
    /// Start.
    pub start: Timestamp,
    /// End, after `start`.
    pub end: Timestamp,
    /// What went on.
    pub state: State,
}

impl Segment {
    /// Length in nanoseconds.
    pub fn duration(&self) -> Nanos {
        self.end.since(self.start)
    }
}

/// A trace's critical path, cut by what the kernel saw: the segments tile the root in order of time, so
/// their lengths sum to the request's duration exactly.
pub fn segments(trace: &Trace) -> Vec<Segment> {
    let tree = Tree::of(trace);
    Cutter::new(trace, &tree).cut()
}

/// A trace with what is needed to cut its path.
pub(crate) struct Cutter<'a> {
    pub(crate) trace: &'a Trace,
    tree: &'a Tree,
    pub(crate) roles: Vec<Role>,
    /// For each span, which one's slices tell of its time.
    told: Vec<Option<usize>>,
}

impl<'a> Cutter<'a> {
    pub(crate) fn new(trace: &'a Trace, tree: &'a Tree) -> Cutter<'a> {
        let mut told: Vec<Option<usize>> = Vec::with_capacity(tree.len());
        for (at, span) in trace.spans.iter().enumerate() {
            let above = tree.parent(at).filter(|parent| *parent < at);
            let same = |parent: &usize| trace.spans[*parent].resource.pid == span.resource.pid;
            told.push(match span.slices.is_empty() {
                true => above.filter(same).and_then(|parent| told[parent]),
                false => Some(at),
            });
        }
        Cutter {
            trace,
            tree,
            roles: roles(trace, tree),
            told,
        }
    }

    pub(crate) fn cut(&self) -> Vec<Segment> {
        let path = self.tree.critical_path(0, Overlap::Parallel);
        let mut segments: Vec<Segment> = Vec::with_capacity(path.steps.len() * 2);
        for step in path.steps {
            let mut at = step.start;
            for slice in self.slices(step.node, step.start, step.end) {
                let from = slice.start.clamp(at, step.end);
                let to = slice.end.clamp(from, step.end);
                self.push(&mut segments, step.node, (at, from), None);
                self.push(&mut segments, step.node, (from, to), Some(slice));
                at = to;
            }
            self.push(&mut segments, step.node, (at, step.end), None);
        }
        segments
    }

    /// The slices that overlap a stretch of a span's own time.
    fn slices(&self, span: usize, from: Timestamp, to: Timestamp) -> &'a [Slice] {
        let own = matches!(
            self.roles[span],
            Role::Queue | Role::Hole | Role::Failure | Role::Send | Role::Wire
        );
        let told = self.told[span].filter(|told| !own || *told == span);
        let Some(told) = told else { return &[] };
        let slices = &self.trace.spans[told].slices;
        let first = slices.partition_point(|slice| slice.end <= from);
        let after = slices.partition_point(|slice| slice.start < to);
        &slices[first..after.max(first)]
    }

    fn push(
        &self,
        segments: &mut Vec<Segment>,
        span: usize,
        (start, end): (Timestamp, Timestamp),
        slice: Option<&Slice>,
    ) {
        if start >= end {
            return;
        }
        let state = state(self.roles[span], &self.trace.spans[span], slice);
        match segments.last_mut() {
            Some(last) if last.span == span && last.state == state && last.end == start => {
                last.end = end;
            }
            _ => segments.push(Segment {
                span,
                start,
                end,
                state,
            }),
        }
    }
}

/// The fixed order: a hole, bytes unread, runnable, on a CPU, blocked, waiting for the other end.
fn state(role: Role, span: &Span, slice: Option<&Slice>) -> State {
    let doing = slice.map_or(Doing::Unknown, |slice| slice.doing);
    let reason = slice.and_then(|slice| slice.reason.as_deref());
    match (role, doing) {
        (Role::Hole, _) => State::Hole,
        (Role::Failure, _) => State::Dropped,
        (_, Doing::Waiting) if reason == Some("stopped") => State::Stopped,
        _ if slice.is_some_and(Slice::is_throttled) => State::Throttled,
        (Role::Queue, Doing::Runnable) => State::UnreadRunnable,
        (Role::Queue, _) => State::Unread,
        (Role::Send | Role::Wire, _) => State::Moving,
        (_, Doing::Runnable) => State::Runnable,
        (_, Doing::Running) => State::OnCpu,
        (Role::Lock | Role::Lwlock, _) => State::Lock,
        (Role::Io, _) => State::Disk,
        (_, Doing::Waiting) => asleep(reason),
        (Role::File, _) if span.name.starts_with("disk ") => State::Disk,
        (_, Doing::Unknown) => State::Unknown,
    }
}

fn asleep(reason: Option<&str>) -> State {
    let Some(reason) = reason else {
        return State::Asleep;
    };
    match reason.split_once(": ") {
        Some(("Lock" | "LWLock" | "BufferPin", _)) => State::Lock,
        // Another backend reads this page already.
        Some(("IO", _) | ("IPC", "BufferIO")) => State::Disk,
        Some(_) => State::Asleep,
        None if is_disk(reason) => State::Disk,
        None => State::Asleep,
    }
}

/// Whether a thread asleep in this call waits for a disk, or for a page.
fn is_disk(call: &str) -> bool {
    matches!(
        call,
        "page fault"
            | "read"
            | "pread64"
            | "preadv"
            | "write"
            | "pwrite64"
            | "pwritev"
            | "fsync"
            | "fdatasync"
            | "msync"
            | "sync_file_range"
            | "openat"
            | "open"
            | "ftruncate"
            | "fallocate"
            | "rename"
            | "unlink"
    )
}
