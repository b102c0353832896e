//! What all connections share: the exchanges' numbers, and counts.

use tierscope_model::Timestamp;

use crate::queue::Open;

/// Running totals over all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    number: u64,
    /// This kernel does not tell when bytes leave for the device.
    pub(crate) departures_unmeasured: bool,
    /// Requests are left out whole: what an end that is not traced wrote between two messages went to them.
    pub(crate) sampled: bool,
    /// HTTP message heads read.
    pub(crate) http_parsed: u64,
    /// Sends that should have begun an HTTP message and could not be read.
    pub(crate) http_unparsed: u64,
    /// HTTP answers that had no request.
    pub(crate) unasked: u64,
    /// Segments sent again whose message had been read by then.
    pub(crate) retransmits_after_read: u64,
    /// Log entries and connections dropped at a memory limit.
    pub(crate) over_budget: u64,
}

impl Tally {
    /// An exchange of which only one side's bytes will be seen.
    pub(crate) fn open<F: Default>(&mut self, begun: Timestamp) -> Open<F> {
        Open::new(self.next(), begun, F::default())
    }

    /// The next exchange's number.
    pub(crate) fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}
