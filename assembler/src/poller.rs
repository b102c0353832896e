//! Who polls for the others of its process.
//!
//! A runtime's idle threads lie on a futex; one of them polls, and hands over what it finds. While that one
//! waits for a CPU nobody can know that there is anything to read.

use std::cmp::Reverse;

use tierscope_model::{Doing, Nanos, Slice};

use crate::reason;
use crate::timeline::{Lost, Timeline};

/// Shorter waits are not looked into.
const LONG: Nanos = 1_000_000;

/// What a reader did, in `slices`: in place of its sleep on a futex, the wait for a CPU of the thread among
/// `others`, of the same process, that was woken from its poll meanwhile.
pub(crate) fn in_place<'a, I>(
    slices: Vec<Slice>,
    others: impl Fn() -> I,
    lost: &[Lost],
) -> Vec<Slice>
where
    I: Iterator<Item = (u32, &'a Timeline)>,
{
    let mut out = Vec::with_capacity(slices.len());
    for slice in slices {
        let lies = slice.doing == Doing::Waiting && slice.reason.as_deref() == Some("futex");
        let poller = (lies && slice.duration() >= LONG)
            .then(|| wait(others(), &slice, lost))
            .flatten();
        let Some(poller) = poller else {
            out.push(slice);
            continue;
        };
        let parts = [(slice.start, poller.start), (poller.end, slice.end)];
        let [before, after] = parts.map(|(start, end)| Slice {
            start,
            end,
            ..slice.clone()
        });
        out.extend(
            [before, poller, after]
                .into_iter()
                .filter(|s| s.start < s.end),
        );
    }
    out
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
            throttled: false,
            before: Before {
                pid: 9,
                tid: 9,
                comm: "hog".into(),
                since: Timestamp(0),
            },
        };
        timeline.back(Timestamp(back * MS), switch);
        timeline
    }

    fn told(poller: Timeline) -> Vec<(u64, u64, Doing, u32)> {
        let reader = thread(Sysno::futex, 66, 67);
        let pieces = reader.cut(Timestamp(5 * MS), Timestamp(67 * MS), &[]);
        let slices = pieces.map(|piece| piece.slice(8)).collect();
        let slices = in_place(slices, || [(9, &poller)].into_iter(), &[]);
        let told = slices.iter();
        told.map(|s| (s.start.0 / MS, s.end.0 / MS, s.doing, s.tid))
            .collect()
    }

    #[test]
    fn a_reader_without_a_poller_on_a_cpu_waits_for_that() {
        let wanted = [
            (5, 6, Doing::Waiting, 8),
            (6, 65, Doing::Runnable, 9),
            (65, 66, Doing::Waiting, 8),
            (66, 67, Doing::Runnable, 8),
        ];
        assert_eq!(told(thread(Sysno::epoll_wait, 6, 65)), wanted);
    }

    #[test]
    fn one_that_did_not_poll_is_not_waited_for() {
        let wanted = [(5, 66, Doing::Waiting, 8), (66, 67, Doing::Runnable, 8)];
        assert_eq!(told(thread(Sysno::futex, 6, 65)), wanted);
    }
}
