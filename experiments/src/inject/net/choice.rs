//! Which packets a fault is for: every N-th that carries bytes for the first time.

use super::packet::{Packet, Reach};
use super::whose::Talk;

/// Counts the packets that can be chosen.
pub(super) struct Choice {
    talk: Talk,
    every: u64,
    count: u64,
    reach: Reach,
}

impl Choice {
    /// Of `every` packets the last one.
    pub(super) fn new(talk: Talk, every: u64) -> Choice {
        Choice {
            talk,
            every: every.max(1),
            count: 0,
            reach: Reach::default(),
        }
    }

    /// Whether this one is chosen.
    pub(super) fn falls_on(&mut self, packet: &Packet<'_>) -> bool {
        // Sent again, it is not another packet.
        let fresh = self.reach.extends(packet.flow, packet.bytes);
        if !fresh || self.talk.is_upkeep(packet) {
            return false;
        }
        self.count += 1;
        self.count.is_multiple_of(self.every)
    }
}
