//! What was sent again, and what that cost the message that it belongs to.
//!
//! A lost segment leaves a hole: what comes behind it cannot be read until the hole is filled. The cost
//! is the time from when its bytes would have come to when they did, never an assumed time-out.

use tierscope_model::{Nanos, Timestamp};

use crate::stream::Stream;

/// A segment `[lo, hi)` that was sent again at `time`.
#[derive(Clone, Debug)]
pub(crate) struct Resent {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) time: Timestamp,
}

/// A hole in a message, from when its bytes would have come to when they did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

/// The retransmits of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retransmits {
    pub(crate) segments: u64,
    /// Bytes of the message that were sent again, as often as they were.
    pub(crate) bytes: u64,
    /// Segments that the receiver had already when they came.
    pub(crate) spurious: u64,
    /// In order of time; they do not overlap.
    pub(crate) holes: Vec<Hole>,
    /// Segments of which it is not known whether, or for how long, they kept anything from the reader.
    pub(crate) unmeasured: u64,
}

impl Retransmits {
    /// Of the message `[lo, hi)`.
    pub(crate) fn measure(stream: &Stream, lo: u64, hi: u64) -> Retransmits {
        let mut all = Retransmits::default();
        let mut paired: Vec<Timestamp> = Vec::new();
        for resent in stream.retransmits_in(lo, hi) {
            let (from, until) = (resent.lo.max(lo), resent.hi.min(hi));
            all.segments += 1;
            all.bytes += until - from;
            if is_spurious(stream, resent, until, &mut paired) {
                all.spurious += 1;
                continue;
            }
            match hole(stream, from, until) {
                Some(hole) => all.holes.push(hole),
                None => all.unmeasured += 1,
            }
        }
        all.holes = union(all.holes);
        all
    }

    /// For how long the holes kept in-order data from the reader.
    pub(crate) fn cost(&self) -> Nanos {
        self.holes
            .iter()
            .map(|hole| hole.end.since(hole.start))
            .sum()
    }
}

/// The receiver had the segment: its bytes had come in order before it was sent, or it is one of those
/// seen to come when they were not expected any more. `paired` are those already given to another.
fn is_spurious(stream: &Stream, resent: &Resent, until: u64, paired: &mut Vec<Timestamp>) -> bool {
    let came = stream.arrival_of(until - 1).map(|arrival| arrival.time);
    let mut repeats = stream.repeats_in(resent.lo, resent.hi);
    let repeat = repeats.find(|time| *time >= resent.time && !paired.contains(time));
    paired.extend(repeat);
    repeat.is_some() || came.is_some_and(|came| came <= resent.time)
}

/// The hole of bytes `[from, until)`: they would have come when what was sent after them came, or as
/// long after they first left as the fastest segment took; the earlier counts.
fn hole(stream: &Stream, from: u64, until: u64) -> Option<Hole> {
    let filled = stream.arrival_of(until - 1)?;
    let due = stream.departure_of(from).zip(stream.fastest());
    let due = due.map(|(departure, took)| departure.time + took);
    let start = [due, filled.held].into_iter().flatten().min()?;
    let end = filled.time;
    Some(Hole {
        start: start.min(end),
        end,
    })
}

/// The same time, without overlaps and empty ones.
fn union(mut holes: Vec<Hole>) -> Vec<Hole> {
    holes.retain(|hole| hole.start < hole.end);
    holes.sort_by_key(|hole| (hole.start, hole.end));
    let mut merged: Vec<Hole> = Vec::with_capacity(holes.len());
    for hole in holes {
        match merged.last_mut().filter(|last| hole.start <= last.end) {
            Some(last) => last.end = last.end.max(hole.end),
            None => merged.push(hole),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 300 bytes in three segments, of which the first comes within 10 ns: the second one is lost.
    fn lossy() -> Stream {
        let mut stream = Stream::default();
        stream.departed(100, 200, Timestamp(1_000));
        stream.arrived(100, 200, 100, Timestamp(1_010), false);
        stream.departed(200, 300, Timestamp(1_100));
        stream.departed(300, 400, Timestamp(1_200));
        stream
    }

    fn resend(stream: &mut Stream, lo: u64, hi: u64, time: u64) {
        stream.retransmitted(Resent {
            lo,
            hi,
            time: Timestamp(time),
        });
    }

    #[test]
    fn a_hole_begins_when_its_bytes_would_have_come() {
        let mut stream = lossy();
        stream.arrived(300, 400, 200, Timestamp(1_210), false);
        resend(&mut stream, 200, 300, 5_000);
        stream.arrived(200, 300, 200, Timestamp(5_020), false);
        let all = Retransmits::measure(&stream, 100, 400);
        assert_eq!((all.segments, all.bytes, all.spurious), (1, 100, 0));
        assert_eq!(
            all.cost(),
            5_020 - 1_110,
            "it left at 1,100 and 10 is the fastest"
        );
        assert_eq!(
            Retransmits::measure(&stream, 100, 200),
            Retransmits::default()
        );
        assert_eq!(
            Retransmits::measure(&stream, 250, 300).bytes,
            50,
            "its share"
        );
    }

    #[test]
    fn what_the_receiver_had_costs_nothing() {
        let mut stream = lossy();
        stream.arrived(200, 400, 200, Timestamp(1_215), false);
        resend(&mut stream, 300, 400, 3_000);
        stream.arrived(300, 400, 400, Timestamp(3_010), false);
        let all = Retransmits::measure(&stream, 100, 400);
        assert_eq!((all.segments, all.spurious, all.cost()), (1, 1, 0));
    }

    #[test]
    fn one_sent_again_before_the_first_came_is_known_by_its_coming() {
        let mut stream = lossy();
        resend(&mut stream, 200, 300, 1_105);
        stream.arrived(200, 400, 200, Timestamp(1_215), false);
        stream.arrived(200, 300, 400, Timestamp(1_220), false);
        let all = Retransmits::measure(&stream, 100, 400);
        assert_eq!((all.segments, all.spurious, all.cost()), (1, 1, 0));
    }

    #[test]
    fn a_segment_lost_twice_is_one_hole() {
        let mut stream = lossy();
        resend(&mut stream, 200, 300, 5_000);
        resend(&mut stream, 200, 300, 9_000);
        stream.arrived(200, 300, 200, Timestamp(9_020), false);
        let all = Retransmits::measure(&stream, 100, 400);
        assert_eq!((all.segments, all.spurious), (2, 0));
        assert_eq!(all.cost(), 9_020 - 1_110);
    }

    #[test]
    fn without_the_arrival_the_cost_is_not_known() {
        let mut stream = lossy();
        resend(&mut stream, 200, 300, 5_000);
        let all = Retransmits::measure(&stream, 100, 400);
        assert_eq!((all.segments, all.unmeasured, all.cost()), (1, 1, 0));
    }
}
