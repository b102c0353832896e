//! Who polls for the others of its process, and when nobody of it runs.
//!
//! A runtime's idle threads lie on a futex; one of them polls, and hands over what it finds. While that one
//! waits for a CPU nobody can know that there is anything to read. Nor can they while the process stands
//! still: its threads that have something to do have no CPU for it.

use std::cmp::Reverse;

use tierscope_model::{Doing, Nanos, Slice, Timestamp};

use crate::reason;
use crate::timeline::{Lost, Piece, Timeline};

/// Shorter waits are not looked into.
const LONG: Nanos = 1_000_000;

/// What a reader did, in `slices`: in place of its sleep on a futex, the wait for a CPU of the thread among
/// `others`, of the same process, that was woken from its poll meanwhile; or the times in which none of them
/// ran for want of a CPU, if they are longer.
pub(crate) fn in_place<'a, I>(
    slices: Vec<Slice>,
    others: impl Fn() -> I,
    lost: &[Lost],
) -> Vec<Slice>
where
    I: Iterator<Item = (u32, &'a Timeline)>,
{
    let lies = |slice: &Slice| {
        let on_futex = slice.doing == Doing::Waiting && slice.reason.as_deref() == Some("futex");
        on_futex && slice.duration() >= LONG
    };
    if !slices.iter().any(lies) {
        return slices;
    }
    let mut out = Vec::with_capacity(slices.len());
    for slice in slices {
        if !lies(&slice) {
            out.push(slice);
            continue;
        }
        let still = standstills(others(), (slice.start, slice.end), lost);
        let length: Nanos = still.iter().map(Slice::duration).sum();
        let poller = wait(others(), &slice, lost).filter(|wait| wait.duration() > length);
        let waits = poller.map_or(still, |wait| vec![wait]);
        fill(&mut out, &slice, waits);
    }
    out
}

/// The slice, with `waits` in place of its parts.
fn fill(out: &mut Vec<Slice>, slice: &Slice, waits: Vec<Slice>) {
    let rest = |start, end| Slice {
        start,
        end,
        ..slice.clone()
    };
    let mut at = slice.start;
    for wait in waits {
        let before = rest(at, wait.start);
        at = wait.end;
        out.extend([before, wait].into_iter().filter(|s| s.start < s.end));
    }
    out.extend(
        [rest(at, slice.end)]
            .into_iter()
            .filter(|s| s.start < s.end),
    );
}

/// The times within `[from, to]` in which a process stood still for want of a CPU: one of its threads was
/// runnable, and none ran. In order, as waits of that thread's.
pub(crate) fn standstills<'a>(
    threads: impl Iterator<Item = (u32, &'a Timeline)>,
    (from, to): (Timestamp, Timestamp),
    lost: &[Lost],
) -> Vec<Slice> {
    let (mut waits, mut runs) = (Vec::new(), Vec::new());
    for (tid, timeline) in threads {
        for piece in timeline.cut(from, to, lost) {
            match piece.doing {
                Doing::Runnable if piece.end.since(piece.start) >= LONG => waits.push((piece, tid)),
                Doing::Running => runs.push((piece.start, piece.end)),
                _ => {}
            }
        }
    }
    waits.sort_by_key(|(wait, tid)| (wait.start, Reverse(wait.end), *tid));
    runs.sort_unstable();
    let mut still = Vec::new();
    let mut at = from;
    for (wait, tid) in waits {
        at = at.max(wait.start);
        let within = runs
            .iter()
            .filter(|(start, end)| *end > wait.start && *start < wait.end);
        let ends = within.copied().chain([(wait.end, wait.end)]);
        for (start, end) in ends {
            let part = Piece {
                start: at,
                end: start.min(wait.end),
                ..wait
            };
            at = at.max(end);
            if part.end.since(part.start) >= LONG {
                still.push(part.slice(tid));
            }
        }
    }
    still
}

/// The longest wait for a CPU within the sleep, of a thread that had been woken from its poll.
fn wait<'a>(
    others: impl Iterator<Item = (u32, &'a Timeline)>,
    sleep: &Slice,
    lost: &[Lost],
) -> Option<Slice> {
    let waits = others.flat_map(|(tid, timeline)| {
        let pieces = timeline.cut(sleep.start, sleep.end, lost);
        let woken = pieces.filter(|piece| {
            piece.doing == Doing::Runnable && piece.switch.is_some_and(reason::polls)
        });
        woken.map(move |piece| piece.slice(tid))
    });
    let long = waits.filter(|wait| wait.duration() >= LONG);
    long.max_by_key(|wait| (wait.duration(), Reverse((wait.start, wait.tid))))
}

#[cfg(test)]
mod tests {
    use syscalls::x86_64::Sysno;
    use tierscope_model::{Before, Off, Switch, Timestamp};

    use super::*;

    const MS: u64 = 1_000_000;

    /// A thread that slept in a call until `woken` and had its CPU back at `back`.
    fn thread(call: Sysno, woken: u64, back: u64) -> Timeline {
        let mut timeline = Timeline::default();
        let switch = Switch {
            pid: 7,
            tid: 8,
            off_at: Some(Timestamp(MS)),
            woken_at: Some(Timestamp(woken * MS)),
            off: Off::Sleeping,
            syscall: Some(call as u32),
            wait_event: 0,
            gap: false,
            unseen: false,
            throttled: false,
            before: Before {
                pid: 9,
                tid: 9,
                comm: "hog".into(),
                since: Timestamp(0),
                until: Timestamp(u64::MAX),
            },
        };
        timeline.back(Timestamp(back * MS), switch);
        timeline
    }

    fn told(others: &[(u32, Timeline)]) -> Vec<(u64, u64, Doing, u32)> {
        let reader = thread(Sysno::futex, 66, 67);
        let pieces = reader.cut(Timestamp(5 * MS), Timestamp(67 * MS), &[]);
        let slices = pieces.map(|piece| piece.slice(8)).collect();
        let others = || others.iter().map(|(tid, timeline)| (*tid, timeline));
        let slices = in_place(slices, others, &[]);
        let told = slices.iter();
        told.map(|s| (s.start.0 / MS, s.end.0 / MS, s.doing, s.tid))
            .collect()
    }

    /// One that was on a CPU from 3 to 60.
    fn at_work() -> Timeline {
        let mut timeline = thread(Sysno::futex, 2, 3);
        timeline.seen(Timestamp(60 * MS));
        timeline
    }

    const WAITED: [(u64, u64, Doing, u32); 4] = [
        (5, 6, Doing::Waiting, 8),
        (6, 65, Doing::Runnable, 9),
        (65, 66, Doing::Waiting, 8),
        (66, 67, Doing::Runnable, 8),
    ];

    #[test]
    fn a_reader_without_a_poller_on_a_cpu_waits_for_that() {
        let poller = || (9, thread(Sysno::epoll_wait, 6, 65));
        assert_eq!(told(&[poller()]), WAITED);
        assert_eq!(told(&[poller(), (10, at_work())]), WAITED);
    }

    #[test]
    fn one_that_does_not_poll_is_waited_for_while_nobody_runs() {
        let other = || (9, thread(Sysno::futex, 6, 65));
        assert_eq!(told(&[other()]), WAITED);
        let wanted = [
            (5, 60, Doing::Waiting, 8),
            (60, 65, Doing::Runnable, 9),
            (65, 66, Doing::Waiting, 8),
            (66, 67, Doing::Runnable, 8),
        ];
        assert_eq!(told(&[other(), (10, at_work())]), wanted);
    }
}
