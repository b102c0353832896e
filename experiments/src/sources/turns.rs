//! How long an event loop was away from `epoll_wait`: an upper bound of its turns.

use std::collections::{HashMap, VecDeque};

use tierscope_model::{Body, Event, Nanos, Off, Timestamp};

/// `epoll_wait`, `epoll_pwait`, `epoll_pwait2` on x86-64.
const EPOLL: [u32; 3] = [232, 281, 441];
/// Stretches kept per thread: traces come a second or two behind the events.
const LIMIT: usize = 65_536;

/// Stretches between two sleeps in `epoll_wait`, by thread. Each holds one turn or several: a call that
/// finds events at once does not sleep.
#[derive(Debug, Default)]
pub(super) struct Turns {
    threads: HashMap<u32, Thread>,
}

#[derive(Debug, Default)]
struct Thread {
    /// Since when it has been awake.
    awake: Option<Timestamp>,
    /// Ended stretches in order.
    stretches: VecDeque<(Timestamp, Timestamp)>,
}

impl Turns {
    /// Takes a switch in.
    pub(super) fn event(&mut self, event: &Event) {
        let Body::Switch(switch) = &event.body else {
            return;
        };
        let in_epoll = switch.syscall.is_some_and(|call| EPOLL.contains(&call));
        let (Off::Sleeping, true, Some(off)) = (switch.off, in_epoll, switch.off_at) else {
            return;
        };
        let thread = self.threads.entry(switch.tid).or_default();
        if let Some(awake) = thread.awake.replace(event.time) {
            if thread.stretches.len() >= LIMIT {
                thread.stretches.pop_front();
            }
            thread.stretches.push_back((awake, off));
        }
    }

    /// The longest stretch of `tid` that overlaps `[from, to]`; none where its sleeps are not known.
    pub(super) fn longest(&self, tid: u32, from: Timestamp, to: Timestamp) -> Option<Nanos> {
        let thread = self.threads.get(&tid)?;
        let first = thread.stretches.partition_point(|(_, end)| *end < from);
        let ended = thread
            .stretches
            .range(first..)
            .take_while(|(begin, _)| *begin <= to)
            .map(|(begin, end)| end.since(*begin))
            .max();
        let open = thread.awake.filter(|awake| *awake <= to);
        ended.max(open.map(|awake| to.since(awake)))
    }
}

#[cfg(test)]
mod tests {
    use tierscope_model::{Before, Switch};

    use super::*;

    fn slept(from: u64, to: u64, syscall: u32) -> Event {
        Event {
            time: Timestamp(to),
            cpu: 0,
            body: Body::Switch(Switch {
                pid: 1,
                tid: 1,
                off_at: Some(Timestamp(from)),
                woken_at: Some(Timestamp(to)),
                off: Off::Sleeping,
                syscall: Some(syscall),
                wait_event: 0,
                gap: false,
                unseen: false,
                throttled: false,
                before: Before::default(),
            }),
        }
    }

    #[test]
    fn a_stretch_runs_from_sleep_to_sleep() {
        let mut turns = Turns::default();
        for event in [
            slept(0, 10, 232),
            slept(15, 16, 0),
            slept(30, 40, 281),
            slept(45, 50, 232),
        ] {
            turns.event(&event);
        }
        let longest = |from, to| turns.longest(1, Timestamp(from), Timestamp(to));
        assert_eq!(
            longest(12, 13),
            Some(20),
            "the write to a disk did not end it"
        );
        assert_eq!(longest(35, 42), Some(5));
        assert_eq!(longest(55, 60), Some(10), "the one still under way");
        assert_eq!(turns.longest(2, Timestamp(0), Timestamp(60)), None);
    }
}
