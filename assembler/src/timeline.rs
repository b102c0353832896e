//! One thread's time: on a CPU, runnable, waiting. Told by its returns to a CPU, each of which says
//! how the thread had left and when it was woken.

use std::collections::VecDeque;

use smol_str::format_smolstr;
use tierscope_model::{Doing, Nanos, Off, Slice, SmolStr, Switch, Timestamp};

use crate::reason;

/// Most returns kept of one thread.
const LIMIT: usize = 65_536;

/// A stretch of time in which events were lost.
pub(crate) type Lost = (Timestamp, Timestamp);

/// The returns of one thread to a CPU, in order of time.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    returns: VecDeque<(Timestamp, Switch)>,
    /// The thread was on a CPU at this time: it made a call or hit a probe.
    seen: Timestamp,
    /// From here on its returns are left out, unless a later one is told.
    turned: Option<Timestamp>,
}

/// What the thread did in `[start, end)`; `switch` tells of the time off its CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) doing: Doing,
    pub(crate) switch: Option<&'a Switch>,
}

impl Piece<'_> {
    pub(crate) fn slice(&self, tid: u32) -> Slice {
        let off = self.switch.filter(|_| self.doing != Doing::Running);
        let runnable = self.doing == Doing::Runnable;
        let throttled = runnable && off.is_some_and(|s| s.throttled);
        let ran = off.filter(|s| runnable && !throttled && s.before.pid != 0);
        let preempted = |s: &&Switch| !runnable || s.off == Off::Preempted;
        Slice {
            start: self.start,
            end: self.end,
            doing: self.doing,
            tid,
            reason: match throttled {
                true => Some(SmolStr::new_static(Slice::CPU_QUOTA)),
                false => off.filter(preempted).and_then(reason::of),
            },
            instead: ran.map(|s| format_smolstr!("{} {}", s.before.comm, s.before.pid)),
            shared: false,
        }
    }
}

impl Timeline {
    /// The thread came back to a CPU. True where the oldest return had to be forgotten for it.
    pub(crate) fn back(&mut self, time: Timestamp, switch: Switch) -> bool {
        self.seen(time);
        let mut at = self.returns.len();
        while at > 0 && self.returns[at - 1].0 > time {
            at -= 1;
        }
        self.returns.insert(at, (time, switch));
        let over = self.returns.len() > LIMIT;
        if over {
            self.returns.pop_front();
        }
        over
    }

    /// The thread was on a CPU at `time`.
    pub(crate) fn seen(&mut self, time: Timestamp) {
        self.seen = self.seen.max(time);
    }

    /// The thread turned to what sampling leaves out.
    pub(crate) fn turned(&mut self, time: Timestamp) {
        self.turned = self.turned.max(Some(time));
    }

    /// The last time that anything was seen of the thread.
    pub(crate) fn last(&self) -> Timestamp {
        self.seen
    }

    /// The process that the thread is of.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.returns.back().map(|(_, switch)| switch.pid)
    }

    /// Forgets what nobody asks for who asks for nothing before `time`.
    pub(crate) fn forget(&mut self, time: Timestamp) {
        while self.returns.get(1).is_some_and(|(back, _)| *back <= time) {
            self.returns.pop_front();
        }
    }

    /// What the thread did: pieces that tile `[from, to]`, in order of time. What `lost` events leave
    /// in doubt is not known.
    pub(crate) fn cut(&self, from: Timestamp, to: Timestamp, lost: &[Lost]) -> Vec<Piece<'_>> {
        let mut cut = Cut {
            from,
            to,
            at: from,
            pieces: Vec::new(),
        };
        let first = self.returns.partition_point(|(back, _)| *back <= from);
        let mut on = first.checked_sub(1).map(|at| self.returns[at].0);
        for (back, switch) in self.returns.range(first..) {
            let off = switch.off_at.or(switch.woken_at).unwrap_or(*back);
            cut.push(
                off,
                running(
                    on.filter(|_| switch.off_at.is_some() && !switch.gap),
                    off,
                    lost,
                ),
                None,
            );
            let woken = match switch.off {
                Off::Preempted => off,
                _ => switch.woken_at.unwrap_or(*back),
            };
            cut.push(woken, Doing::Waiting, Some(switch));
            cut.push(*back, Doing::Runnable, Some(switch));
            on = Some(*back);
            if cut.at >= to {
                break;
            }
        }
        let known = self.turned.filter(|turned| Some(*turned) >= on);
        let known = known.unwrap_or(self.seen).min(self.seen);
        cut.push(known, running(on, known.min(to), lost), None);
        cut.push(to, Doing::Unknown, None);
        cut.pieces
    }
}

/// On a CPU since `on`, if no event can have been lost since.
fn running(on: Option<Timestamp>, until: Timestamp, lost: &[Lost]) -> Doing {
    let whole = |on: Timestamp| {
        !lost
            .iter()
            .any(|(first, last)| *first <= until && on <= *last)
    };
    if on.is_some_and(whole) {
        Doing::Running
    } else {
        Doing::Unknown
    }
}

/// Pieces so far, up to `at`.
struct Cut<'a> {
    from: Timestamp,
    to: Timestamp,
    at: Timestamp,
    pieces: Vec<Piece<'a>>,
}

impl<'a> Cut<'a> {
    fn push(&mut self, until: Timestamp, doing: Doing, switch: Option<&'a Switch>) {
        let end = until.clamp(self.from, self.to.max(self.from));
        if end <= self.at {
            return;
        }
        self.pieces.push(Piece {
            start: self.at,
            end,
            doing,
            switch,
        });
        self.at = end;
    }
}

/// Total time of each kind: running, runnable, waiting.
pub(crate) fn sums(slices: &[Slice]) -> [Nanos; 3] {
    let sum = |doing| {
        let alike = slices.iter().filter(|slice| slice.doing == doing);
        alike.map(Slice::duration).sum()
    };
    [Doing::Running, Doing::Runnable, Doing::Waiting].map(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tierscope_model::Before;

    use super::*;

    fn switch(off_at: u64, woken_at: Option<u64>, off: Off) -> Switch {
        Switch {
            pid: 7,
            tid: 7,
            off_at: Some(Timestamp(off_at)),
            woken_at: woken_at.map(Timestamp),
            off,
            syscall: Some(230),
            wait_event: 0,
            gap: false,
            throttled: false,
            before: Before {
                pid: 9,
                tid: 9,
                comm: "hog".into(),
                since: Timestamp(0),
            },
        }
    }

    fn timeline() -> Timeline {
        let mut timeline = Timeline::default();
        timeline.back(Timestamp(30), switch(10, Some(20), Off::Sleeping));
        timeline.back(Timestamp(60), switch(50, None, Off::Preempted));
        timeline.seen(Timestamp(70));
        timeline
    }

    fn told(pieces: &[Piece<'_>]) -> Vec<(u64, u64, Doing)> {
        pieces
            .iter()
            .map(|p| (p.start.0, p.end.0, p.doing))
            .collect()
    }

    #[test]
    fn tells_of_every_nanosecond() {
        let timeline = timeline();
        let pieces = timeline.cut(Timestamp(5), Timestamp(80), &[]);
        let wanted = [
            (5, 10, Doing::Unknown),
            (10, 20, Doing::Waiting),
            (20, 30, Doing::Runnable),
            (30, 50, Doing::Running),
            (50, 60, Doing::Runnable),
            (60, 70, Doing::Running),
            (70, 80, Doing::Unknown),
        ];
        assert_eq!(told(&pieces), wanted);
        let slice = pieces[1].slice(7);
        assert_eq!(slice.reason.as_deref(), Some("clock_nanosleep"));
        let slice = pieces[4].slice(7);
        assert_eq!(slice.reason.as_deref(), Some("preempted"));
        assert_eq!(slice.instead.as_deref(), Some("hog 9"));
        assert_eq!(pieces[2].slice(7).reason, None, "woken, it waits for a CPU");
    }

    #[test]
    fn one_whose_quota_is_used_up_waits_for_that_and_for_nobody() {
        let mut timeline = Timeline::default();
        let throttled = |switch| Switch {
            throttled: true,
            ..switch
        };
        let woken = throttled(switch(10, Some(20), Off::Sleeping));
        timeline.back(Timestamp(30), woken);
        timeline.back(Timestamp(60), throttled(switch(50, None, Off::Preempted)));
        let pieces = timeline.cut(Timestamp(10), Timestamp(60), &[]);
        let told: Vec<_> = pieces.iter().map(|piece| piece.slice(7)).collect();
        let throttled: Vec<_> = told.iter().map(Slice::is_throttled).collect();
        assert_eq!(throttled, [false, true, false, true]);
        assert_eq!(told[0].reason.as_deref(), Some("clock_nanosleep"));
        assert!(told.iter().all(|slice| slice.instead.is_none()));
    }

    #[test]
    fn one_that_slept_before_tracing_began_is_known_from_its_wake_on() {
        let mut timeline = Timeline::default();
        let asleep = Switch {
            off_at: None,
            ..switch(0, Some(20), Off::Other)
        };
        timeline.back(Timestamp(30), asleep);
        timeline.seen(Timestamp(40));
        let wanted = [
            (10, 20, Doing::Unknown),
            (20, 30, Doing::Runnable),
            (30, 40, Doing::Running),
        ];
        let pieces = timeline.cut(Timestamp(10), Timestamp(40), &[]);
        assert_eq!(told(&pieces), wanted);
    }

    #[test]
    fn a_lost_event_may_have_been_a_switch() {
        let lost = [(Timestamp(40), Timestamp(41))];
        let timeline = timeline();
        let pieces = timeline.cut(Timestamp(30), Timestamp(70), &lost);
        let wanted = [
            (30, 50, Doing::Unknown),
            (50, 60, Doing::Runnable),
            (60, 70, Doing::Running),
        ];
        assert_eq!(told(&pieces), wanted);
    }

    #[test]
    fn what_was_forgotten_is_not_known_and_the_rest_is_as_before() {
        let mut timeline = timeline();
        timeline.forget(Timestamp(65));
        let pieces = timeline.cut(Timestamp(40), Timestamp(70), &[]);
        let wanted = [
            (40, 50, Doing::Unknown),
            (50, 60, Doing::Runnable),
            (60, 70, Doing::Running),
        ];
        assert_eq!(told(&pieces), wanted);
        let pieces = timeline.cut(Timestamp(65), Timestamp(70), &[]);
        assert_eq!(told(&pieces), [(65, 70, Doing::Running)]);
    }

    proptest! {
        #[test]
        fn pieces_tile_any_interval(
            steps in prop::collection::vec((0..50u64, 0..50u64, 0..50u64, 0..4u8), 0..20),
            from in 0..3_000u64,
            length in 0..3_000u64,
        ) {
            let mut timeline = Timeline::default();
            let mut now = 100;
            for (on, asleep, late, how) in steps {
                let off = now + on;
                now = off + asleep + late;
                let how = [Off::Preempted, Off::Sleeping, Off::Blocked, Off::Other][usize::from(how)];
                timeline.back(Timestamp(now), switch(off, (asleep > 0).then_some(off + asleep), how));
            }
            let pieces = timeline.cut(Timestamp(from), Timestamp(from + length), &[]);
            let mut at = from;
            for piece in &pieces {
                prop_assert_eq!(piece.start.0, at);
                prop_assert!(piece.end > piece.start);
                at = piece.end.0;
            }
            prop_assert_eq!(at, from + length);
        }
    }
}
