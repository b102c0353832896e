//! Packets that come late: each chosen one waits, and what follows it on its connection waits behind it.
//!
//! At the receiver they have left and not arrived. At the sender they have been sent and not left.

use std::collections::HashMap;
use std::time::Duration;

use super::choice::Choice;
use super::gate::{Decision, Judge};
use super::packet::{Flow, Packet};

/// Holds chosen packets back.
pub(super) struct Delay {
    pub(super) choice: Choice,
    pub(super) for_ns: u64,
    /// Until when a flow's packets wait: one that overtook another would be taken for its loss.
    pub(super) until: HashMap<Flow, u64>,
}

impl Delay {
    pub(super) fn new(choice: Choice, time: Duration) -> Delay {
        Delay {
            choice,
            for_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            until: HashMap::new(),
        }
    }
}

impl Judge for Delay {
    fn decide(&mut self, packet: &Packet<'_>, now: u64, rests: bool) -> Decision {
        let falls = self.choice.falls_on(packet) && !rests;
        let chosen = falls.then(|| now.saturating_add(self.for_ns));
        let behind = self
            .until
            .get(&packet.flow)
            .copied()
            .filter(|until| *until > now);
        let Some(until) = chosen.max(behind) else {
            return Decision::Pass;
        };
        self.until.insert(packet.flow, until);
        Decision::Until(until)
    }
}
