//! When bytes could not leave because their receiver had not read those before them.
//!
//! What a receiver does not read fills its queue, and then its peer may send no more: bytes that were
//! written wait at the sender for a reader at the other end.

use tierscope_model::{Nanos, Timestamp};

use crate::stream::Stream;

/// Bytes that lie unread for less are on their way through; and with so little between them two waits
/// are one.
const LAG: Nanos = 1_000_000;

/// A stretch of time.
pub(crate) type Stretch = (Timestamp, Timestamp);

/// The stretches in which bytes of `[lo, hi)` had been written, had not left, and others of the message
/// lay unread before them: in order, apart.
pub(crate) fn stretches(stream: &Stream, lo: u64, hi: u64) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for read in stream.reads_in(lo, hi).filter(|read| read.hi < hi) {
        let next = (stream.write_of(read.hi), stream.departure_of(read.hi));
        let (Some(came), (Some(write), Some(departure))) =
            (stream.arrival_of(read.lo.max(lo)), next)
        else {
            continue;
        };
        let from = came.time.max(write.start);
        let to = read.time.min(departure.time);
        if to.since(from) < LAG {
            continue;
        }
        match stretches.last_mut() {
            Some(last) if from.since(last.1) < LAG => last.1 = to,
            _ => stretches.push((from, to)),
        }
    }
    stretches
}
