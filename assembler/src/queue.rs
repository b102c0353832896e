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
        }
    }

    fn ended_at(&self) -> Option<u64> {
        self.request.map_or(Some(0), |r| r.hi)?;
        self.response?.hi
    }

    fn fail(&mut self, reason: Incomplete, error: Option<&'static str>) {
        self.incomplete.push(reason);
        self.error = self.error.or(error);
    }
}

/// First in, first answered.
#[derive(Debug)]
pub(crate) struct Queue<F>(VecDeque<Open<F>>);

impl<F> Default for Queue<F> {
    fn default() -> Queue<F> {
        Queue(VecDeque::new())
    }
}

impl<F: Clone> Queue<F> {
    pub(crate) fn push(&mut self, open: Open<F>) {
        self.0.push_back(open);
    }

    /// The newest request.
    pub(crate) fn newest(&mut self) -> Option<&mut Open<F>> {
        self.0.back_mut()
    }

    /// The oldest request that no answer has begun for.
    pub(crate) fn unanswered(&mut self) -> Option<&mut Open<F>> {
        self.0.iter_mut().find(|open| open.response.is_none())
    }

    /// The exchange whose answer is being sent.
    pub(crate) fn answering(&mut self) -> Option<&mut Open<F>> {
        self.0
            .iter_mut()
            .find(|open| open.response.is_some_and(|r| r.hi.is_none()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Open<F>> {
        self.0.iter().filter(|open| !open.abandoned)
    }

    /// Takes the oldest exchange if both messages ended and the answer was consumed up to `read`.
    pub(crate) fn pop_finished(&mut self, read: u64) -> Option<Open<F>> {
        while self
            .0
            .front()
            .and_then(Open::ended_at)
            .is_some_and(|hi| hi <= read)
        {
            let open = self.0.pop_front()?;
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
        for open in self.0.iter_mut().filter(overdue) {
            open.abandoned = true;
            let mut copy = open.clone();
            copy.fail(Incomplete::NoResponse, Some("timeout"));
            expired.push(copy);
        }
        expired
    }

    /// Takes out the requests whose answers were not seen: those begun before `read`, when the client
    /// had the unseen bytes; all of them where that is not known.
    pub(crate) fn skip(&mut self, read: Option<Timestamp>, reason: Incomplete) -> Vec<Open<F>> {
        let missed =
            |open: &Open<F>| open.response.is_none() && read.is_none_or(|read| open.begun < read);
        let (skipped, kept): (Vec<_>, Vec<_>) = self.0.drain(..).partition(missed);
        self.0 = kept.into();
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
        let mut rest: Vec<_> = self.0.drain(..).filter(|open| !open.abandoned).collect();
        for open in &mut rest {
            open.fail(reason, error);
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
            let open = queue.unanswered().expect("two wait");
            open.response = Some(Range {
                lo: 0,
                gate: 0,
                hi: Some(hi),
            });
        }
        assert_eq!(queue.pop_finished(9).map(|o| o.number), Some(2));
    }
}
