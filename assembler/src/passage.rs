//! The parts of a message's way, from the times that were measured: they tile it.

use tierscope_model::Timestamp;

use crate::exchange::Passage;

/// First write → last byte handed to the device.
pub(crate) const SEND: &str = "send";
/// → last byte there to be read at the other end.
pub(crate) const WIRE: &str = "wire";
/// The two before in one, where it is not known when the bytes left.
pub(crate) const TRANSFER: &str = "transfer";
/// → the read that took the last byte.
pub(crate) const QUEUE: &str = "receive queue";

/// What of that a request waited for accept(2) first.
pub(crate) const ACCEPT: &str = "accept";

/// What of the first two was spent waiting for the receiver to read what had come before.
pub(crate) const FULL: &str = "receive queue full";

/// What of the first was spent in TCP's hands again: the host had dropped a packet before it left.
pub(crate) const FAILURE: &str = "send failure";

/// What the kernel of a recording had no hook for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gaps {
    pub(crate) departures: bool,
    pub(crate) arrivals: bool,
}

impl Gaps {
    /// Of a recording without these events.
    pub(crate) fn of(unmeasured: &[String]) -> Gaps {
        let lacks = |event: &str| unmeasured.iter().any(|missing| missing == event);
        Gaps {
            departures: lacks("packet leaves"),
            arrivals: lacks("segment arrives"),
        }
    }
}

/// One part of the way, and what was not measured of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) name: &'static str,
    pub(crate) time: (Timestamp, Timestamp),
    pub(crate) unmeasured: Vec<&'static str>,
}

/// The parts of a message's way, in order, those that there are: from its first write, as far as it was seen.
pub(crate) fn stretches(passage: &Passage, gaps: Gaps) -> [Option<Stretch>; 3] {
    let there = passage.arrival.or(passage.last_read);
    let (first, second) = match (passage.first_write, passage.left, there) {
        (Some(start), Some(left), there) => {
            let left = left.max(start);
            let wire = there.map(|there| wire(passage, gaps, (left, there)));
            (Some(stretch(SEND, (start, left))), wire)
        }
        (Some(start), None, Some(there)) => (Some(transfer(passage, gaps, (start, there))), None),
        _ => (None, None),
    };
    [first, second, queue(passage)]
}

fn stretch(name: &'static str, time: (Timestamp, Timestamp)) -> Stretch {
    Stretch {
        name,
        time,
        unmeasured: Vec::new(),
    }
}

fn wire(passage: &Passage, gaps: Gaps, time: (Timestamp, Timestamp)) -> Stretch {
    let mut wire = stretch(WIRE, time);
    if passage.left_late {
        wire.unmeasured
            .push("its start: it left in a call that sent more, before this");
    }
    wire.unmeasured.extend(no_queue(passage, gaps));
    wire
}

fn transfer(passage: &Passage, gaps: Gaps, time: (Timestamp, Timestamp)) -> Stretch {
    let mut transfer = stretch(TRANSFER, time);
    transfer.unmeasured.push(match gaps.departures {
        true => "send and wire: not measured apart, this kernel does not tell when bytes leave",
        false => "send and wire: not measured apart, when the bytes left was not seen",
    });
    transfer.unmeasured.extend(no_queue(passage, gaps));
    transfer
}

/// Without the arrival the wait to be read is part of the way.
fn no_queue(passage: &Passage, gaps: Gaps) -> Option<&'static str> {
    let words = match gaps.arrivals {
        true => "receive queue: not measured, this kernel does not tell when bytes arrive",
        false => "receive queue: not measured, the arrival was not seen",
    };
    passage.arrival.is_none().then_some(words)
}

fn queue(passage: &Passage) -> Option<Stretch> {
    let mut queue = stretch(QUEUE, (passage.arrival?, passage.last_read?));
    if passage.arrival_late {
        queue
            .unmeasured
            .push("arrival noted late, by up to the reader's call");
    }
    Some(queue)
}
