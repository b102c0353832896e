//! One thread's time: on a CPU, runnable, waiting. Told by its returns to a CPU, each of which says
//! how the thread had left and when it was woken.

use std::num::NonZero;

use tierscope_model::{Before, Doing, Nanos, Off, Slice, SmolStr, Switch, Timestamp};

use crate::joined::joined;
use crate::log::Log;
use crate::reason;

/// A stretch of time in which events were lost.
pub(crate) type Lost = (Timestamp, Timestamp);

/// The returns of one thread to a CPU, in order of time.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    returns: Log<Switch>,
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
        let ran = off.filter(|_| runnable && !throttled);
        let ran = ran.and_then(|s| self.behind(&s.before));
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
            instead_ns: ran.as_ref().and_then(|(_, nanos)| *nanos),
            instead: ran.map(|(what, _)| what),
            shared: false,
        }
    }

    /// What had the CPU, and for how long of this time, where not for all of it; none where it did not.
    fn behind(&self, before: &Before) -> Option<(SmolStr, Option<NonZero<Nanos>>)> {
        let (since, until) = (before.since.max(self.start), before.until.min(self.end));
        let nanos = NonZero::new(until.since(since))?;
        let what = match before.pid {
            0 => SmolStr::new_static(Slice::IDLE),
            pid => joined([before.comm.as_str().into(), " ".into(), pid.into()]),
        };
        let whole = nanos.get() == self.end.since(self.start);
        Some((what, Some(nanos).filter(|_| !whole)))
    }
}

impl Timeline {
    /// The thread came back to a CPU. True where the oldest return had to be forgotten for it.
    pub(crate) fn back(&mut self, time: Timestamp, switch: Switch) -> bool {
        self.seen(time);
        self.returns.push(time, switch)
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
        self.returns.last().map(|switch| switch.pid)
    }

    /// Forgets what nobody asks for who asks for nothing before `time`.
    pub(crate) fn forget(&mut self, time: Timestamp) {
        self.returns.forget(time);
    }

    /// What the thread did: pieces that tile `[from, to]`, in order of time. What `lost` events leave
    /// in doubt is not known.
    pub(crate) fn cut<'a>(
        &'a self,
        from: Timestamp,
        to: Timestamp,
        lost: &'a [Lost],
    ) -> impl Iterator<Item = Piece<'a>> {
        Pieces {
            timeline: self,
            next: self.returns.until(from),
            lost,
            at: from,
            to,
            bounds: [(from, Doing::Unknown, None); 3],
            left: 0,
            ended: false,
        }
    }

    /// What the thread did after its last return, as far as that is known.
    fn since_last<'a>(&self, to: Timestamp, lost: &[Lost]) -> Bound<'a> {
        let on = self.returns.last_time();
        let known = self.turned.filter(|turned| Some(*turned) >= on);
        let known = known.unwrap_or(self.seen).min(self.seen);
        (known, running(on, known.min(to), lost), None)
    }
}

/// Until when a thread did what; where it was off its CPU, the return from there.
type Bound<'a> = (Timestamp, Doing, Option<&'a Switch>);

/// What a thread did from `on`, when it had last come back to a CPU, until it came `back` again.
fn around<'a>(
    on: Option<Timestamp>,
    (back, switch): (Timestamp, &'a Switch),
    lost: &[Lost],
) -> [Bound<'a>; 3] {
    let off = switch.off_at.or(switch.woken_at).unwrap_or(back);
    let on = on.filter(|_| switch.off_at.is_some() && !switch.gap && !switch.unseen);
    let woken = match switch.off {
        Off::Preempted => off,
        _ => switch.woken_at.unwrap_or(back),
    };
    [
        (off, running(on, off, lost), None),
        (woken, Doing::Waiting, Some(switch)),
        (back, Doing::Runnable, Some(switch)),
    ]
}

/// The pieces in `[at, to]`.
struct Pieces<'a> {
    timeline: &'a Timeline,
    /// The place of the next return.
    next: usize,
    lost: &'a [Lost],
    at: Timestamp,
    to: Timestamp,
    /// Those of the return in hand; the last `left` of them are still to come.
    bounds: [Bound<'a>; 3],
    left: usize,
    ended: bool,
}

impl<'a> Pieces<'a> {
    fn bound(&mut self) -> Bound<'a> {
        if self.left == 0 {
            let returns = &self.timeline.returns;
            match returns.at(self.next) {
                Some(back) => {
                    let before = self.next.checked_sub(1).and_then(|at| returns.time(at));
                    (self.bounds, self.left) = (around(before, back, self.lost), 3);
                    self.next += 1;
                }
                None if self.ended => return (self.to, Doing::Unknown, None),
                None => {
                    self.ended = true;
                    return self.timeline.since_last(self.to, self.lost);
                }
            }
        }
        self.left -= 1;
        self.bounds[2 - self.left]
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        while self.at < self.to {
            let (until, doing, switch) = self.bound();
            let start = self.at;
            self.at = until.clamp(start, self.to);
            if start < self.at {
                let end = self.at;
                return Some(Piece {
                    start,
                    end,
                    doing,
                    switch,
                });
            }
        }
        None
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
            unseen: false,
            throttled: false,
            before: Before {
                pid: 9,
                tid: 9,
                comm: "hog".into(),
                since: Timestamp(0),
                until: Timestamp(u64::MAX),
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

    fn cut(timeline: &Timeline, from: u64, to: u64) -> Vec<Piece<'_>> {
        timeline.cut(Timestamp(from), Timestamp(to), &[]).collect()
    }

    fn told(pieces: &[Piece<'_>]) -> Vec<(u64, u64, Doing)> {
        pieces
            .iter()
            .map(|p| (p.start.0, p.end.0, p.doing))
            .collect()
    }

    #[test]
    fn what_had_the_cpu_is_told_for_as_long_as_it_had_it() {
        let mut switch = switch(10, None, Off::Preempted);
        let mut behind = |since, until, pid| {
            (switch.before.since, switch.before.until) = (Timestamp(since), Timestamp(until));
            switch.before.pid = pid;
            let mut timeline = Timeline::default();
            timeline.back(Timestamp(90), switch.clone());
            let slice = cut(&timeline, 20, 90)[0].slice(7);
            let nanos = slice.instead_for();
            (slice.instead.map(String::from), nanos)
        };
        let hog = || Some("hog 9".to_owned());
        assert_eq!(behind(0, 90, 9), (hog(), 70));
        assert_eq!(behind(0, 85, 9), (hog(), 65), "another came after it");
        assert_eq!(behind(40, 90, 9), (hog(), 50), "or before it");
        assert_eq!(behind(0, 20, 9), (None, 0), "this time is not its");
        assert_eq!(behind(0, 90, 0), (Some(Slice::IDLE.to_owned()), 70));
    }

    #[test]
    fn tells_of_every_nanosecond() {
        let timeline = timeline();
        let pieces = cut(&timeline, 5, 80);
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
    fn what_came_before_a_return_that_was_not_seen_is_not_known() {
        let mut timeline = timeline();
        let unseen = Switch {
            unseen: true,
            ..switch(90, Some(94), Off::Sleeping)
        };
        timeline.back(Timestamp(95), unseen);
        let wanted = [
            (58, 60, Doing::Runnable),
            (60, 90, Doing::Unknown),
            (90, 94, Doing::Waiting),
            (94, 95, Doing::Runnable),
        ];
        assert_eq!(told(&cut(&timeline, 58, 95)), wanted);
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
        let pieces = cut(&timeline, 10, 60);
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
        let pieces = cut(&timeline, 10, 40);
        assert_eq!(told(&pieces), wanted);
    }

    #[test]
    fn a_lost_event_may_have_been_a_switch() {
        let lost = [(Timestamp(40), Timestamp(41))];
        let timeline = timeline();
        let pieces: Vec<_> = timeline.cut(Timestamp(30), Timestamp(70), &lost).collect();
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
        let pieces = cut(&timeline, 40, 70);
        let wanted = [
            (40, 50, Doing::Unknown),
            (50, 60, Doing::Runnable),
            (60, 70, Doing::Running),
        ];
        assert_eq!(told(&pieces), wanted);
        let pieces = cut(&timeline, 65, 70);
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
            let pieces = cut(&timeline, from, from + length);
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
