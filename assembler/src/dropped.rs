//! Packets that their own host dropped before they left: TCP has them still, and sends them later.

use tierscope_model::Timestamp;

use crate::full::Stretch;
use crate::stream::Stream;

/// Bytes `[lo, hi)` in a packet that was dropped at `time`.
#[derive(Clone, Debug)]
pub(crate) struct Dropped {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) time: Timestamp,
}

/// From a drop until the bytes left; where that was not seen, until they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) time: Stretch,
    /// How many packets were dropped meanwhile: TCP's later trials, too.
    pub(crate) packets: u64,
}

/// The failures of the message `[lo, hi)`: in order, apart. Of bytes of which neither was seen there is none.
pub(crate) fn failures(stream: &Stream, lo: u64, hi: u64) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for drop in stream.drops_in(lo, hi) {
        let first = drop.lo.max(lo);
        let left = stream.departure_of(first).map(|departure| departure.time);
        let Some(to) = left.or_else(|| stream.arrival_of(first).map(|arrival| arrival.time)) else {
            continue;
        };
        let from = drop.time;
        match failures.last_mut().filter(|last| from <= last.time.1) {
            Some(last) => {
                last.time.1 = last.time.1.max(to);
                last.packets += 1;
            }
            None if from < to => failures.push(Failure {
                time: (from, to),
                packets: 1,
            }),
            None => {}
        }
    }
    failures
}
