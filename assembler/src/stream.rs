//! One direction of a connection by byte offset: what was written, what left, what arrived, what was read.
//!
//! Offsets are TCP sequence numbers unwrapped to 64 bits, so a stream may pass 4 GiB. The sender's
//! range is the receiver's range: no header is needed to match the two ends.

use std::collections::{BTreeMap, VecDeque};

use tierscope_model::{Nanos, Timestamp};

use crate::dropped::Dropped;
use crate::log::insert;
use crate::retransmit::Resent;

/// First offset given out: room below for bytes that were sent before tracing began.
pub(crate) const ORIGIN: u64 = 1 << 32;

/// A process and thread that made a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
}

/// Bytes `[lo, hi)` accepted by one call.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) by: Caller,
}

/// Bytes `[lo, hi)` that left for the device for the first time, at `time` at the latest.
#[derive(Clone, Debug)]
pub(crate) struct Departure {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) time: Timestamp,
}

/// In-order bytes `[lo, hi)` that were there at `time`.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) time: Timestamp,
    pub(crate) late: bool,
    /// When the first of them came that had to wait for others before them.
    pub(crate) held: Option<Timestamp>,
}

/// Bytes `[lo, hi)` taken by one call.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) time: Timestamp,
    pub(crate) by: Caller,
}

/// A direction's log, pruned as exchanges finish.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    reference: Option<(u32, u64)>,
    writes: VecDeque<Write>,
    departures: VecDeque<Departure>,
    arrivals: VecDeque<Arrival>,
    reads: VecDeque<Read>,
    retransmits: VecDeque<Resent>,
    drops: VecDeque<Dropped>,
    /// Segments that came though the receiver had all of them, and when.
    repeats: VecDeque<(u64, u64, Timestamp)>,
    ahead: BTreeMap<u64, (u64, Timestamp)>,
    /// The shortest that a segment was seen to be on its way.
    fastest: Option<Nanos>,
    /// What lies below it was forgotten: its message was finished.
    pruned: u64,
    /// All before it left for the device.
    pub(crate) left: u64,
    /// Where what was written begins; what sampling leaves out before does not count.
    pub(crate) begins: u64,
    /// One past the last byte written; before the first write, where the stream was taken up.
    pub(crate) written: u64,
    /// One past the last byte read; before the first read, where the stream was taken up.
    pub(crate) read: u64,
}

impl Stream {
    /// The offset of a sequence number: the one nearest to the last seen, so wrapping is exact
    /// while both ends stay within 2 GiB of each other.
    pub(crate) fn offset(&mut self, seq: u32) -> u64 {
        let Some((reference, offset)) = self.reference else {
            self.reference = Some((seq, ORIGIN));
            (self.written, self.read, self.left) = (ORIGIN, ORIGIN, ORIGIN);
            self.begins = ORIGIN;
            return ORIGIN;
        };
        let delta = i64::from(seq.wrapping_sub(reference) as i32);
        let at = offset.wrapping_add_signed(delta);
        if delta > 0 {
            self.reference = Some((seq, at));
        }
        at
    }

    /// How far a sequence number is from the last seen, in bytes.
    pub(crate) fn distance(&self, seq: u32) -> u64 {
        let delta = self
            .reference
            .map(|(last, _)| seq.wrapping_sub(last) as i32);
        delta.map_or(0, |delta| delta.unsigned_abs().into())
    }

    /// The sequence number of an offset.
    pub(crate) fn seq(&self, offset: u64) -> u32 {
        self.reference.map_or(0, |(seq, at)| {
            seq.wrapping_add(offset.wrapping_sub(at) as u32)
        })
    }

    pub(crate) fn wrote(&mut self, write: Write) {
        self.written = self.written.max(write.hi);
        insert_by(&mut self.writes, write, |w| w.lo);
    }

    /// Bytes `[lo, hi)` were left out by sampling, sent and read. After bytes that went unseen for another
    /// reason nothing is known.
    pub(crate) fn skipped(&mut self, lo: u64, hi: u64) {
        if lo > self.written {
            return;
        }
        if self.written == self.begins {
            self.begins = self.begins.max(hi);
        }
        self.written = self.written.max(hi);
        self.left = self.left.max(hi);
        self.read = self.read.max(hi);
    }

    pub(crate) fn took(&mut self, read: Read) {
        self.read = self.read.max(read.hi);
        insert_by(&mut self.reads, read, |r| r.lo);
    }

    /// A segment came when the receiver expected `expected` next. Only in-order bytes have arrived;
    /// a segment ahead of a hole waits for the one that fills it.
    pub(crate) fn arrived(&mut self, lo: u64, hi: u64, expected: u64, time: Timestamp, late: bool) {
        if hi <= expected {
            return self.repeats.push_back((lo, hi, time));
        }
        if lo > expected {
            let ahead = self.ahead.entry(lo).or_insert((hi, time));
            ahead.0 = hi.max(ahead.0);
            return;
        }
        self.note_speed(hi, time);
        let (hi, held) = self.fill(hi);
        let arrival = Arrival {
            lo: expected,
            hi,
            time,
            late,
            held,
        };
        insert_by(&mut self.arrivals, arrival, |a| a.lo);
    }

    fn fill(&mut self, mut hi: u64) -> (u64, Option<Timestamp>) {
        let mut held: Option<Timestamp> = None;
        while let Some(entry) = self.ahead.first_entry() {
            if *entry.key() > hi {
                break;
            }
            let (end, time) = entry.remove();
            hi = hi.max(end);
            held = Some(held.map_or(time, |held| held.min(time)));
        }
        (hi, held)
    }

    /// The byte before `hi` came: how long it was on its way.
    fn note_speed(&mut self, hi: u64, time: Timestamp) {
        let left = self.departure_of(hi - 1).map(|departure| departure.time);
        if let Some(left) = left.filter(|left| *left <= time) {
            let took = time.since(left);
            self.fastest = Some(self.fastest.map_or(took, |fastest| fastest.min(took)));
        }
    }

    /// Bytes `[lo, hi)` left for the device; of those that were known to have left, the first time counts.
    pub(crate) fn departed(&mut self, lo: u64, hi: u64, time: Timestamp) {
        let mut index = self.departures.partition_point(|d| d.hi <= lo);
        let mut at = lo;
        while at < hi {
            let known = self.departures.get(index).map(|d| (d.lo, d.hi));
            let (until, next) = known.filter(|known| known.0 < hi).unwrap_or((hi, hi));
            if at < until {
                let (lo, hi) = (at, until);
                insert(&mut self.departures, index, Departure { lo, hi, time });
                index += 1;
            }
            at = next.max(until);
            index += 1;
        }
        self.left = self.reach(self.left);
    }

    /// How far the bytes from `at` on left without a gap.
    fn reach(&self, mut at: u64) -> u64 {
        let first = self.departures.partition_point(|d| d.hi <= at);
        for departure in self.departures.range(first..) {
            if departure.lo > at {
                break;
            }
            at = departure.hi;
        }
        at
    }

    /// When the last of the bytes `[lo, hi)` left; none where that of any was not seen.
    pub(crate) fn left_by(&self, lo: u64, hi: u64) -> Option<Timestamp> {
        let first = self.departures.partition_point(|d| d.hi <= lo);
        let within = self.departures.range(first..).take_while(|d| d.lo < hi);
        let last = within.map(|d| d.time).max();
        last.filter(|_| self.reach(lo) >= hi)
    }

    /// False: the message it belongs to was read before, so the receiver had it.
    pub(crate) fn retransmitted(&mut self, resent: Resent) -> bool {
        let open = resent.hi > self.pruned;
        if open {
            self.retransmits.push_back(resent);
        }
        open
    }

    /// Retransmitted segments that hold bytes of `[lo, hi)`, in order of time.
    pub(crate) fn retransmits_in(&self, lo: u64, hi: u64) -> impl Iterator<Item = &Resent> {
        let holds = move |resent: &&Resent| resent.lo < hi && lo < resent.hi;
        self.retransmits.iter().filter(holds)
    }

    /// A packet was dropped on its sender's host. Of a message that is finished it tells nothing.
    pub(crate) fn dropped(&mut self, dropped: Dropped) {
        if dropped.hi > self.pruned {
            self.drops.push_back(dropped);
        }
    }

    /// Packets with bytes of `[lo, hi)` that were dropped on their sender's host, in order of time.
    pub(crate) fn drops_in(&self, lo: u64, hi: u64) -> impl Iterator<Item = &Dropped> {
        let holds = move |dropped: &&Dropped| dropped.lo < hi && lo < dropped.hi;
        self.drops.iter().filter(holds)
    }

    /// When segments came that hold bytes of `[lo, hi)` and that the receiver had all of.
    pub(crate) fn repeats_in(&self, lo: u64, hi: u64) -> impl Iterator<Item = Timestamp> {
        let holds = move |repeat: &&(u64, u64, Timestamp)| repeat.0 < hi && lo < repeat.1;
        self.repeats.iter().filter(holds).map(|repeat| repeat.2)
    }

    /// The shortest that a segment of this direction was seen to be on its way so far.
    pub(crate) fn fastest(&self) -> Option<Nanos> {
        self.fastest
    }

    /// When the last call that wrote was entered.
    pub(crate) fn last_write(&self) -> Option<Timestamp> {
        self.writes.back().map(|write| write.start)
    }

    pub(crate) fn departure_of(&self, offset: u64) -> Option<&Departure> {
        holding(&self.departures, offset, |d| (d.lo, d.hi))
    }

    pub(crate) fn write_of(&self, offset: u64) -> Option<&Write> {
        holding(&self.writes, offset, |w| (w.lo, w.hi))
    }

    pub(crate) fn arrival_of(&self, offset: u64) -> Option<&Arrival> {
        holding(&self.arrivals, offset, |a| (a.lo, a.hi))
    }

    pub(crate) fn read_of(&self, offset: u64) -> Option<&Read> {
        holding(&self.reads, offset, |r| (r.lo, r.hi))
    }

    /// The reads that took bytes of `[lo, hi)`, in order.
    pub(crate) fn reads_in(&self, lo: u64, hi: u64) -> impl Iterator<Item = &Read> {
        let first = self.reads.partition_point(|r| r.hi <= lo);
        self.reads.range(first..).take_while(move |r| r.lo < hi)
    }

    /// Forgets what lies wholly below `offset`.
    pub(crate) fn prune(&mut self, offset: u64) {
        drop_below(&mut self.writes, offset, |w| w.hi);
        drop_below(&mut self.departures, offset, |d| d.hi);
        drop_below(&mut self.arrivals, offset, |a| a.hi);
        drop_below(&mut self.reads, offset, |r| r.hi);
        self.retransmits.retain(|r| r.hi > offset);
        self.repeats.retain(|r| r.1 > offset);
        self.drops.retain(|d| d.hi > offset);
        self.ahead.retain(|_, (hi, _)| *hi > offset);
        self.pruned = self.pruned.max(offset);
        // What was not seen to leave by now never will be.
        self.left = self.left.max(offset);
    }

    /// Entries held, for the memory budget.
    pub(crate) fn len(&self) -> usize {
        self.writes.len()
            + self.departures.len()
            + self.arrivals.len()
            + self.reads.len()
            + self.ahead.len()
            + self.retransmits.len()
            + self.repeats.len()
            + self.drops.len()
    }
}

fn insert_by<T>(log: &mut VecDeque<T>, item: T, key: impl Fn(&T) -> u64) {
    let at = match log.back() {
        Some(last) if key(last) > key(&item) => log.partition_point(|x| key(x) <= key(&item)),
        _ => log.len(),
    };
    insert(log, at, item);
}

fn holding<T>(log: &VecDeque<T>, offset: u64, range: impl Fn(&T) -> (u64, u64)) -> Option<&T> {
    let at = log.partition_point(|x| range(x).1 <= offset);
    log.get(at).filter(|x| range(x).0 <= offset)
}

fn drop_below<T>(log: &mut VecDeque<T>, offset: u64, end: impl Fn(&T) -> u64) {
    while log.front().is_some_and(|x| end(x) <= offset) {
        log.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap() {
        let mut stream = Stream::default();
        let a = stream.offset(u32::MAX - 9);
        let b = stream.offset(20);
        assert_eq!(b - a, 30);
        assert_eq!(stream.offset(u32::MAX), a + 9);
        assert_eq!(stream.seq(a), u32::MAX - 9);
        assert_eq!(stream.seq(b), 20);
    }

    #[test]
    fn a_byte_behind_a_hole_arrives_when_the_hole_is_filled() {
        let mut stream = Stream::default();
        stream.arrived(100, 200, 100, Timestamp(1), false);
        stream.arrived(300, 400, 200, Timestamp(2), false);
        stream.arrived(200, 300, 200, Timestamp(9), false);
        stream.arrived(200, 300, 400, Timestamp(10), false);
        let at = |offset| stream.arrival_of(offset).map(|a| a.time.0);
        assert_eq!(at(150), Some(1));
        assert_eq!(at(250), Some(9));
        assert_eq!(at(399), Some(9), "it was there at 2, but could not be read");
        assert_eq!(at(400), None);
        assert_eq!(at(99), None);
    }

    #[test]
    fn pruning_keeps_what_reaches_over_the_edge() {
        let mut stream = Stream::default();
        for (lo, hi) in [(0, 10), (10, 30), (30, 40)] {
            stream.took(Read {
                lo,
                hi,
                time: Timestamp(hi),
                by: Caller::default(),
            });
        }
        stream.prune(20);
        assert!(stream.read_of(5).is_none());
        assert_eq!(stream.read_of(25).map(|r| r.hi), Some(30));
    }
}
