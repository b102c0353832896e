//! The exchanges open on one connection, oldest first: answers come in the order of the requests.

use std::collections::VecDeque;

use tierscope_model::{Incomplete, Nanos, Timestamp};

/// A message's bytes `[lo, hi)` in its stream; `gate` is the last byte of its head: who has read it
/// knows what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) lo: u64,
    pub(crate) gate: u64,
    pub(crate) hi: Option<u64>,
}

/// A request and its answer, either of which may still be missing.
#[derive(Clone, Debug)]
pub(crate) struct Open<F> {
    pub(crate) number: u64,
    pub(crate) begun: Timestamp,
    pub(crate) request: Option<Range>,
    pub(crate) response: Option<Range>,
    pub(crate) facts: F,
    pub(crate) incomplete: Vec<Incomplete>,
    pub(crate) error: Option<&'static str>,
    /// Reported as unanswered already; kept so that a late answer finds its place.
    abandoned: bool,
    /// Written while the order was lost: no answer can be given to it.
    doubtful: bool,
}

impl<F> Open<F> {
    pub(crate) fn new(number: u64, begun: Timestamp, facts: F) -> Open<F> {
        Open {
            number,
            begun,
            request: None,
            response: None,
            facts,
            incomplete: Vec::new(),
            error: None,
            abandoned: false,
            doubtful: false,
        }
    }

    fn ended_at(&self) -> Option<u64> {
        self.request.map_or(Some(0), |r| r.hi)?;
        if self.doubtful {
            return Some(0);
        }
        self.response?.hi
    }

    fn fail(&mut self, reason: Incomplete, error: Option<&'static str>) {
        self.incomplete.push(reason);
        self.error = self.error.or(error);
    }
}

/// First in, first answered: true only while no request and no answer went unseen. After that it is
/// `lost`, and joins nothing until the client has read an answer to every request there can be.
#[derive(Debug)]
pub(crate) struct Queue<F> {
    open: VecDeque<Open<F>>,
    lost: bool,
    /// An answer without a request was seen since the last request.
    surplus: bool,
}

impl<F> Default for Queue<F> {
    fn default() -> Queue<F> {
        Queue {
            open: VecDeque::new(),
            lost: false,
            surplus: false,
        }
    }
}

impl<F: Clone> Queue<F> {
    pub(crate) fn push(&mut self, mut open: Open<F>) {
        self.surplus = false;
        if self.lost {
            open.doubtful = true;
            open.fail(Incomplete::EventLoss, None);
        }
        self.open.push_back(open);
    }

    /// An answer begins: the request it belongs to is the oldest without one. Where there is none, an
    /// exchange without a request is opened for it; true then.
    pub(crate) fn answer(&mut self, lo: u64, gate: u64, fresh: impl FnOnce() -> Open<F>) -> bool {
        let unasked = self.unanswered().is_none();
        if unasked {
            let mut open = fresh();
            open.incomplete.push(Incomplete::NoRequest);
            self.surplus = true;
            self.open.push_back(open);
        }
        if let Some(open) = self.unanswered() {
            open.response = Some(Range { lo, gate, hi: None });
        }
        unasked
    }

    /// A request of which nothing but its range is known; more of one that waits already joins it.
    pub(crate) fn hear_request(&mut self, range: Range, fresh: impl FnOnce() -> Open<F>) {
        if let Some(request) = self.unanswered().and_then(|open| open.request.as_mut()) {
            (request.gate, request.hi) = (range.gate, range.hi);
            return;
        }
        let mut open = fresh();
        open.request = Some(range);
        self.push(open);
    }

    /// An answer of which nothing but its range is known, first heard at `since`: it is the one request's
    /// that waits; where several do, it cannot be given to any.
    pub(crate) fn hear_answer(&mut self, range: Range, since: Timestamp) {
        let waits =
            |open: &&mut Open<F>| open.response.is_none() && !open.doubtful && open.begun <= since;
        match self.open.iter_mut().filter(waits).count() {
            0 => {}
            1 => {
                if let Some(open) = self.open.iter_mut().find(waits) {
                    open.response = Some(range);
                }
            }
            _ => self.lose(true),
        }
    }

    /// A message could not be read. If it was an answer, none of those waiting can be told apart.
    pub(crate) fn lose(&mut self, answer: bool) {
        (self.lost, self.surplus) = (true, false);
        for open in self
            .open
            .iter_mut()
            .filter(|open| answer && open.response.is_none())
        {
            open.doubtful = true;
            open.fail(Incomplete::MessageEnd, None);
        }
    }

    /// The client writes, having read all answers seen so far or not; `hole` where it wrote something
    /// unseen before. After an answer that nothing seen had asked for, and with none outstanding, what
    /// it asks next is in order again.
    pub(crate) fn ask(&mut self, all_read: bool, hole: bool) {
        let mut waiting = self.open.iter().filter(|o| !o.doubtful && !o.abandoned);
        if hole {
            (self.lost, self.surplus) = (true, false);
        } else if self.surplus && all_read && waiting.next().is_none() {
            self.lost = false;
        }
    }

    /// The exchange whose request is being sent.
    pub(crate) fn asking(&mut self) -> Option<&mut Open<F>> {
        self.open
            .iter_mut()
            .rfind(|open| open.request.is_some_and(|r| r.hi.is_none()))
    }

    /// The oldest request that no answer has begun for.
    fn unanswered(&mut self) -> Option<&mut Open<F>> {
        self.open
            .iter_mut()
            .find(|open| open.response.is_none() && !open.doubtful)
    }

    /// The exchange whose answer is being sent.
    pub(crate) fn answering(&mut self) -> Option<&mut Open<F>> {
        self.open
            .iter_mut()
            .find(|open| open.response.is_some_and(|r| r.hi.is_none()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Open<F>> {
        self.open.iter().filter(|open| !open.abandoned)
    }

    /// Takes the oldest exchange if both messages ended and the answer was consumed up to `read`.
    pub(crate) fn pop_finished(&mut self, read: u64) -> Option<Open<F>> {
        while self
            .open
            .front()
            .and_then(Open::ended_at)
            .is_some_and(|hi| hi <= read)
        {
            let open = self.open.pop_front()?;
            if !open.abandoned {
                return Some(open);
            }
        }
        None
    }

    /// Copies of those that had no answer within `timeout`; they keep their place.
    pub(crate) fn expire(&mut self, now: Timestamp, timeout: Nanos) -> Vec<Open<F>> {
        let overdue = |open: &&mut Open<F>| {
            !open.abandoned && open.response.is_none() && now.since(open.begun) >= timeout
        };
        let mut expired = Vec::new();
        for open in self.open.iter_mut().filter(overdue) {
            open.abandoned = true;
            let mut copy = open.clone();
            copy.fail(Incomplete::NoResponse, Some("timeout"));
            expired.push(copy);
        }
        expired
    }

    /// Answers from `seen` on went unseen: takes out the requests that they were for, begun before
    /// `read`, when the client had the unseen bytes. Where it is not known how far they go, all are taken.
    pub(crate) fn skip(
        &mut self,
        seen: u64,
        read: Option<Timestamp>,
        reason: Incomplete,
    ) -> Vec<Open<F>> {
        let missed =
            |open: &Open<F>| open.response.is_none() && read.is_none_or(|read| open.begun < read);
        let mut unclear = self.open.iter().filter(|open| missed(open)).count() > 1;
        if let Some(response) = self.answering().and_then(|open| open.response.as_mut()) {
            response.hi = Some(seen.max(response.lo));
            unclear = true;
        }
        self.lost |= unclear;
        self.surplus &= !unclear;
        let (skipped, kept): (Vec<_>, Vec<_>) = self
            .open
            .drain(..)
            .partition(|open| unclear || missed(open));
        self.open = kept.into();
        let mut skipped: Vec<_> = skipped.into_iter().filter(|open| !open.abandoned).collect();
        for open in &mut skipped {
            open.fail(reason, None);
        }
        skipped
    }

    /// Empties the queue: the connection or the recording is at its end.
    pub(crate) fn close(
        &mut self,
        reason: Incomplete,
        error: Option<&'static str>,
    ) -> Vec<Open<F>> {
        let mut rest: Vec<_> = self.open.drain(..).filter(|open| !open.abandoned).collect();
        for open in &mut rest {
            let answered = open.response.is_some_and(|r| r.hi.is_some());
            open.fail(reason, error.filter(|_| !answered));
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(number: u64, response: Option<Range>) -> Open<()> {
        let mut open = Open::new(number, Timestamp(number), ());
        open.request = Some(Range {
            lo: 0,
            gate: 0,
            hi: Some(1),
        });
        open.response = response;
        open
    }

    #[test]
    fn an_exchange_is_finished_when_its_answer_was_read() {
        let mut queue = Queue::default();
        queue.push(open(
            1,
            Some(Range {
                lo: 0,
                gate: 0,
                hi: Some(10),
            }),
        ));
        assert!(queue.pop_finished(9).is_none());
        assert_eq!(queue.pop_finished(10).map(|o| o.number), Some(1));
    }

    #[test]
    fn a_late_answer_finds_its_place_but_is_not_told_twice() {
        let mut queue = Queue::default();
        queue.push(open(1, None));
        queue.push(open(2, None));
        let expired = queue.expire(Timestamp(11), 10);
        assert_eq!(expired.len(), 1, "the second is one nanosecond younger");
        assert_eq!(expired[0].incomplete, [Incomplete::NoResponse]);
        for hi in [5, 9] {
            queue.answer(0, 0, || panic!("two wait"));
            let open = queue.answering().expect("one was found");
            open.response = Some(Range {
                lo: 0,
                gate: 0,
                hi: Some(hi),
            });
        }
        assert_eq!(queue.pop_finished(9).map(|o| o.number), Some(2));
    }
}
