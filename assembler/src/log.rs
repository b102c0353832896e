//! What is kept of one thread, in order of time.

use std::collections::VecDeque;

use tierscope_model::Timestamp;

/// Most entries kept.
const LIMIT: usize = 65_536;

/// Puts `entry` at place `at`. `VecDeque::insert` makes room first, also at the end, where nearly all go.
#[inline(always)]
pub(crate) fn insert<T>(into: &mut VecDeque<T>, at: usize, entry: T) {
    if at == into.len() {
        into.push_back(entry);
    } else {
        into.insert(at, entry);
    }
}

/// Entries, and their times apart from them: looking for a time touches nothing else.
#[derive(Debug)]
pub(crate) struct Log<T> {
    times: VecDeque<Timestamp>,
    entries: VecDeque<T>,
}

impl<T> Default for Log<T> {
    fn default() -> Log<T> {
        Log {
            times: VecDeque::new(),
            entries: VecDeque::new(),
        }
    }
}

impl<T> Log<T> {
    /// Nearly sorted input: the place is at or near the back. True where the oldest entry had to be
    /// forgotten for it.
    pub(crate) fn push(&mut self, time: Timestamp, entry: T) -> bool {
        let mut at = self.times.len();
        while at > 0 && self.times[at - 1] > time {
            at -= 1;
        }
        insert(&mut self.times, at, time);
        insert(&mut self.entries, at, entry);
        let over = self.times.len() > LIMIT;
        if over {
            self.pop_front();
        }
        over
    }

    fn pop_front(&mut self) {
        self.times.pop_front();
        self.entries.pop_front();
    }

    /// How many are before `time`.
    pub(crate) fn before(&self, time: Timestamp) -> usize {
        self.times.partition_point(|at| *at < time)
    }

    /// How many are at or before `time`.
    pub(crate) fn until(&self, time: Timestamp) -> usize {
        self.times.partition_point(|at| *at <= time)
    }

    /// The entries from the one at place `at` on.
    pub(crate) fn from(&self, at: usize) -> impl Iterator<Item = (Timestamp, &T)> {
        let times = self.times.range(at.min(self.times.len())..);
        times
            .copied()
            .zip(self.entries.range(at.min(self.entries.len())..))
    }

    /// The entry at place `at`, and its time.
    pub(crate) fn at(&self, at: usize) -> Option<(Timestamp, &T)> {
        self.time(at).zip(self.get(at))
    }

    /// The time of the entry at place `at`.
    pub(crate) fn time(&self, at: usize) -> Option<Timestamp> {
        self.times.get(at).copied()
    }

    /// The entry at place `at`.
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.entries.get(at)
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Option<&T> {
        self.entries.back()
    }

    /// The time of the last entry.
    pub(crate) fn last_time(&self) -> Option<Timestamp> {
        self.times.back().copied()
    }

    /// The last entry.
    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.entries.back_mut()
    }

    /// Forgets all before the last one at or before `time`, which still holds then.
    pub(crate) fn forget(&mut self, time: Timestamp) {
        while self.times.get(1).is_some_and(|next| *next <= time) {
            self.pop_front();
        }
    }
}
