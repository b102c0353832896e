//! An end of a connection that is not traced: what it wrote is known only by what the other end read.
//!
//! Its messages have no bytes and no boundaries of their own; what was read of it between two messages
//! of the traced end is one message, as long as nothing went unseen.

use tierscope_model::{Nanos, Timestamp};

use crate::queue::Range;

/// The reads that were not given to a message yet.
#[derive(Debug, Default)]
pub(crate) struct Silent {
    /// The bytes `[lo, hi)` read so far of the message under way; empty before its first.
    heard: (u64, u64),
    /// When the first of them was read; none where no message is under way.
    since: Option<Timestamp>,
    last: Timestamp,
    /// A read went unseen: the message under way may be several.
    torn: bool,
}

impl Silent {
    /// The other end read its bytes `[lo, hi)`.
    pub(crate) fn hear(&mut self, lo: u64, hi: u64, time: Timestamp, sampled: bool) {
        // Between two messages sampling leaves out others, whole ones.
        let first = self.heard == (0, 0) || (sampled && self.since.is_none());
        self.torn |= !first && lo != self.heard.1;
        if self.since.is_none() {
            self.heard.0 = lo;
            self.since = Some(time);
        }
        self.heard.1 = hi;
        self.last = time;
    }

    /// When the message under way was first heard.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Whether a message is under way of which nothing was read for `pause`.
    pub(crate) fn is_quiet(&self, now: Timestamp, pause: Nanos) -> bool {
        self.since.is_some() && now.since(self.last) >= pause
    }

    /// The message under way is whole: its bytes, and when it was first heard. None where there is none,
    /// or where it may be several.
    pub(crate) fn take(&mut self) -> Option<(Range, Timestamp)> {
        let since = self.since.take()?;
        let torn = std::mem::take(&mut self.torn);
        let (lo, hi) = self.heard;
        let range = Range {
            lo,
            gate: hi - 1,
            hi: Some(hi),
        };
        (!torn).then_some((range, since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_between_two_messages_is_one() {
        let mut silent = Silent::default();
        assert!(silent.take().is_none());
        silent.hear(100, 150, Timestamp(5), false);
        silent.hear(150, 200, Timestamp(7), false);
        let (range, since) = silent.take().expect("a message");
        assert_eq!((range.lo, range.hi, since), (100, Some(200), Timestamp(5)));
        assert!(silent.take().is_none());
        silent.hear(200, 230, Timestamp(9), false);
        assert!(!silent.is_quiet(Timestamp(10), 5));
        assert!(silent.is_quiet(Timestamp(14), 5));
        assert_eq!(silent.take().map(|(range, _)| range.lo), Some(200));
    }

    #[test]
    fn a_read_that_went_unseen_makes_no_message() {
        let mut silent = Silent::default();
        silent.hear(100, 150, Timestamp(5), false);
        silent.hear(180, 200, Timestamp(7), false);
        assert!(silent.take().is_none());
        silent.hear(200, 210, Timestamp(9), false);
        assert!(silent.take().is_some());
        silent.hear(230, 240, Timestamp(11), false);
        assert!(silent.take().is_none());
    }

    #[test]
    fn what_sampling_leaves_out_lies_between_messages() {
        let mut silent = Silent::default();
        silent.hear(100, 150, Timestamp(5), true);
        assert!(silent.take().is_some());
        silent.hear(180, 200, Timestamp(7), true);
        assert_eq!(silent.take().map(|(range, _)| range.lo), Some(180));
        silent.hear(300, 310, Timestamp(9), true);
        silent.hear(320, 330, Timestamp(11), true);
        assert!(silent.take().is_none(), "a hole within a message");
    }
}
