//! A thread's wait for what the host has: a CPU, or a disk.

use tierscope_model::{Doing, Nanos, Slice, Timestamp, Trace, attr};

use super::Resource;
use crate::cause::CauseKind;
use crate::names::Names;
use crate::profile::{Piece, Profile};

/// Waits shorter than this are no host's trouble.
pub(crate) const SHORTEST: Nanos = 5_000_000;
/// Who waits for this lock waits until another has flushed the log to the disk.
const WAL_WRITE: &str = "WALWrite";

/// A thread's wait for what the host has.
pub(super) struct Wait<'a> {
    pub(super) of: Resource,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) thread: u32,
    /// What had the CPU meanwhile, and for how long, as far as that is known.
    pub(super) behind: Option<(&'a str, Nanos)>,
}

/// The waits of a trace's threads that are long enough to be the host's trouble.
pub(super) fn waits<'a>(
    trace: &'a Trace,
    profile: &'a Profile,
    names: &'a Names,
) -> impl Iterator<Item = Wait<'a>> {
    let slices = trace.spans.iter().flat_map(|span| &span.slices);
    let runnable = slices.filter(|slice| slice.doing == Doing::Runnable);
    let for_a_cpu = runnable.map(|slice| Wait {
        of: Resource::Cpu,
        start: slice.start,
        end: slice.end,
        thread: slice.tid,
        behind: behind(slice),
    });
    let on_path = profile
        .pieces
        .iter()
        .filter(|piece| is_disk(trace, names, piece));
    let for_a_disk = on_path.map(|piece| Wait {
        of: Resource::Disk,
        start: piece.segment.start,
        end: piece.segment.end,
        thread: trace.spans[piece.segment.span].resource.pid,
        behind: None,
    });
    let waits = for_a_cpu.chain(for_a_disk);
    waits.filter(|wait| wait.end.since(wait.start) >= SHORTEST)
}

fn behind(slice: &Slice) -> Option<(&str, Nanos)> {
    match slice.is_throttled() {
        true => Some(("nothing: a CPU quota", slice.duration())),
        false => Some((slice.instead.as_deref()?, slice.instead_for())),
    }
}

fn is_disk(trace: &Trace, names: &Names, piece: &Piece) -> bool {
    let attributes = &trace.spans[piece.segment.span].attributes;
    match names.kind_of(piece.cause) {
        CauseKind::Disk | CauseKind::File => true,
        CauseKind::Lwlock => attributes.text(attr::LWLOCK_TRANCHE) == Some(WAL_WRITE),
        _ => false,
    }
}
