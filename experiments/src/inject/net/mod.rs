//! Faults of the network, between two neighbours of the lab and in one direction.
//!
//! Where a packet is met decides what is wrong with it. Behind the sender's device it has left: late, it was
//! long on its way; lost, it is sent again. Before that device it was sent and has not left.

mod choice;
mod command;
mod delay;
mod gate;
mod hits;
mod log;
mod loss;
mod netlink;
mod packet;
mod queue;
mod queued;
mod rules;
mod send_failure;
mod shape;
mod urgent;
mod way;
mod whose;

#[cfg(test)]
mod tests;

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::queued::{Queued, What};
use self::rules::Hook;
use self::send_failure::Refuser;
use self::shape::{Shaper, Wait};
use self::way::Way;
use super::{Injector, Site};
use crate::error::{Error, Result};

pub use self::way::End;

/// Packets that come late.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PacketDelay {
    from: End,
    to: End,
    /// By how much.
    delay_ms: u64,
    /// Of so many packets with data one; all if left out.
    #[serde(default = "one")]
    every: u64,
    /// Whether they wait before they leave the sender, not after.
    #[serde(default)]
    at_sender: bool,
}

/// Packets that are lost on their way, each range of bytes once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PacketLoss {
    from: End,
    to: End,
    /// Of so many packets with data one.
    every: u64,
}

/// Packets that the sender's own host does not let out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SendFailure {
    from: End,
    to: End,
    /// Of so many packets with data one; of one connection one in a second at most.
    every: u64,
}

/// A sender's device that is slow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SlowLink {
    from: End,
    to: End,
    /// Kilobits per second.
    rate_kbit: u64,
}

/// A fixed delay at the sender's device, by the kernel's own emulation of networks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Netem {
    from: End,
    to: End,
    /// By how much each packet leaves late.
    delay_ms: u64,
}

fn one() -> u64 {
    1
}

impl PacketDelay {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Box<dyn Injector>> {
        let time = Duration::from_millis(self.delay_ms);
        let hook = match self.at_sender {
            true => Hook::Output,
            false => Hook::Input,
        };
        let way = Way::of(site.lab, self.from, self.to)?;
        queued("packet-delay", way, hook, self.every, What::Held(time))
    }
}

impl PacketLoss {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Box<dyn Injector>> {
        let way = Way::of(site.lab, self.from, self.to)?;
        queued("packet-loss", way, Hook::Input, self.every, What::Lost)
    }
}

impl SendFailure {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Box<dyn Injector>> {
        let refuser = Refuser {
            way: Way::of(site.lab, self.from, self.to)?,
            every: self.every,
            open: None,
        };
        refuser.probe()?;
        Ok(Box::new(refuser))
    }
}

impl SlowLink {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Box<dyn Injector>> {
        let way = Way::of(site.lab, self.from, self.to)?;
        shaper("slow-link", way, Wait::Turn(self.rate_kbit))
    }
}

impl Netem {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Box<dyn Injector>> {
        let way = Way::of(site.lab, self.from, self.to)?;
        let time = Duration::from_millis(self.delay_ms);
        shaper("netem", way, Wait::Time(time))
    }
}

fn shaper(fault: &'static str, way: Way, wait: Wait) -> Result<Box<dyn Injector>> {
    let shaper = Shaper {
        fault,
        way,
        wait,
        open: None,
    };
    shaper.probe()?;
    Ok(Box::new(shaper))
}

fn queued(
    fault: &'static str,
    way: Way,
    hook: Hook,
    every: u64,
    what: What,
) -> Result<Box<dyn Injector>> {
    let queued = Queued {
        fault,
        way,
        hook,
        every,
        what,
        open: None,
    };
    queued.probe()?;
    Ok(Box::new(queued))
}

/// For `map_err` before the load begins.
fn refused(fault: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::Refused {
        fault,
        reason: format!("the kernel's packet filter: {error}"),
    }
}

/// For `map_err` later.
fn failed(fault: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::Inject {
        fault,
        reason: error.to_string(),
    }
}

/// Until lost bytes are sent again and answered, at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits until all is told, or for as long as that can take.
fn settle(told: impl Fn() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && !told() {
        std::thread::sleep(Duration::from_millis(10));
    }
}
