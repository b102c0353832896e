//! Packets that get lost behind the sender, each range of bytes once.

use super::choice::Choice;
use super::gate::{Decision, Judge};
use super::packet::{Bytes, Flow, Packet};

/// Drops chosen packets.
pub(super) struct Loss {
    pub(super) choice: Choice,
    pub(super) dropped: Vec<(Flow, Bytes)>,
}

impl Loss {
    pub(super) fn new(choice: Choice) -> Loss {
        Loss {
            choice,
            dropped: Vec::new(),
        }
    }
}

impl Judge for Loss {
    fn decide(&mut self, packet: &Packet<'_>, _: u64, rests: bool) -> Decision {
        let chosen = self.choice.falls_on(packet) && !rests;
        let mut before = self.dropped.iter().filter(|(flow, _)| *flow == packet.flow);
        if !chosen || before.any(|(_, bytes)| bytes.overlap(packet.bytes)) {
            return Decision::Pass;
        }
        self.dropped.push((packet.flow, packet.bytes));
        Decision::Drop
    }
}
