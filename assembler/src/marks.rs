//! For whom a thread worked, and between which of its calls.

use tierscope_model::{RequestId, SocketCookie, Timestamp};

use crate::app::RequestKey;
use crate::log::Log;
use crate::threads::Owner;

/// A call or a probe of a thread.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// Entry of a write, return of a read, hit of a probe.
    pub(crate) time: Timestamp,
    /// The socket of a read or a write.
    pub(crate) socket: Option<SocketCookie>,
    /// The request it was for; none where that is not known.
    pub(crate) owner: Option<Owner>,
    /// Until the thread's next mark it does nothing else, even if it sleeps.
    pub(crate) held: bool,
}

impl Mark {
    /// The request that it was for, if that is known and another than `own`.
    pub(crate) fn other_than(&self, own: Option<RequestId>) -> Option<&Owner> {
        let owner = self.owner.as_ref();
        owner.filter(|owner| Some(owner.key.1) != own)
    }
}

/// One thread's marks in order of time.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    log: Log<Mark>,
}

impl Marks {
    /// True where the oldest mark had to be forgotten for it.
    pub(crate) fn push(&mut self, mark: Mark) -> bool {
        self.log.push(mark.time, mark)
    }

    /// The last mark, if it is a read of `cookie` for nobody known, was for `owner`.
    pub(crate) fn adopt_read(&mut self, cookie: SocketCookie, owner: &Owner) {
        let last = self.log.last_mut();
        if let Some(mark) = last.filter(|m| m.socket == Some(cookie) && m.owner.is_none()) {
            mark.owner = Some(owner.clone());
        }
    }

    pub(crate) fn forget(&mut self, time: Timestamp) {
        self.log.forget(time);
    }

    /// From each mark of `key` in `[from, to]` to the next mark of any, and whether it was held.
    pub(crate) fn stretches(
        &self,
        key: RequestKey,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp, bool)> {
        self.within(from, to)
            .filter(move |(_, _, mark)| mark.owner.as_ref().is_some_and(|o| o.key == key))
            .map(|(start, end, mark)| (start, end, mark.held))
    }

    /// Each mark's time up to the next one, as far as it lies in `[from, to]`.
    pub(crate) fn within(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp, &Mark)> {
        let first = self.log.until(from).saturating_sub(1);
        let ends = self.log.from(first + 1).map(|(time, _)| time).chain([to]);
        self.log
            .from(first)
            .map(|(_, mark)| mark)
            .zip(ends)
            .take_while(move |(mark, _)| mark.time < to)
            .map(move |(mark, end)| (mark.time.max(from), end.min(to), mark))
            .filter(|(start, end, _)| end > start)
    }

    /// When the first mark after `time` was made.
    pub(crate) fn after(&self, time: Timestamp) -> Option<Timestamp> {
        self.log.time(self.log.until(time))
    }

    /// The mark before `time` and the first one after `until`.
    pub(crate) fn around(
        &self,
        time: Timestamp,
        until: Timestamp,
    ) -> (Option<&Mark>, Option<&Mark>) {
        let before = self.log.until(time).checked_sub(1);
        let before = before.and_then(|at| self.log.get(at));
        (before, self.log.get(self.log.before(until)))
    }
}

#[cfg(test)]
mod tests {
    use tierscope_model::RequestId;

    use super::*;

    fn mark(time: u64, owner: u128) -> Mark {
        Mark {
            time: Timestamp(time),
            socket: None,
            owner: (owner > 0).then(|| Owner {
                key: (1, RequestId(owner)),
                label: "GET /".into(),
            }),
            held: false,
        }
    }

    #[test]
    fn a_stretch_lasts_until_the_next_mark_of_any() {
        let mut marks = Marks::default();
        for (time, owner) in [(10, 1), (20, 1), (40, 0), (50, 2), (30, 2), (60, 1)] {
            marks.push(mark(time, owner));
        }
        let of = |owner, from, to| -> Vec<(u64, u64)> {
            let key = (1, RequestId(owner));
            let stretches = marks.stretches(key, Timestamp(from), Timestamp(to));
            stretches.map(|(a, b, _)| (a.0, b.0)).collect()
        };
        assert_eq!(of(1, 0, 100), [(10, 20), (20, 30), (60, 100)]);
        assert_eq!(of(2, 35, 55), [(35, 40), (50, 55)]);
        assert_eq!(of(3, 0, 100), []);
        let (before, after) = marks.around(Timestamp(32), Timestamp(33));
        assert_eq!(before.map(|m| m.time.0), Some(30));
        assert_eq!(after.map(|m| m.time.0), Some(40));
    }

    #[test]
    fn the_mark_that_still_holds_is_not_forgotten() {
        let mut marks = Marks::default();
        for (time, owner) in [(10, 1), (20, 2), (30, 3)] {
            marks.push(mark(time, owner));
        }
        marks.forget(Timestamp(25));
        let times: Vec<_> = marks
            .within(Timestamp(25), Timestamp(40))
            .map(|(a, _, _)| a.0)
            .collect();
        assert_eq!(times, [25, 30]);
    }
}
