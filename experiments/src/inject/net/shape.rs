//! A slow device: the sender's own queue lets a way's packets out late.
//!
//! The packets of that way alone go through a class of their own; all others pass as before.

use std::collections::HashMap;
use std::time::Duration;

use super::hits::{Met, hits};
use super::log::{Log, Seen};
use super::rules::{Chain, Hook, NOTHING};
use super::way::Way;
use super::{command, failed, refused, settle};
use crate::error::{Error, Result};
use crate::inject::undo::Undo;
use crate::inject::{Hit, Injector};

/// The one device that all of a lab's packets take.
const DEVICE: &str = "lo";
/// Handles that nobody else is likely to use: of the classes, of the queue.
const CLASSES: &str = "7e5:";
const QUEUE: &str = "7e6:";
/// Any device takes longer now and then; from here on it is the queue's doing.
const SHORTEST: u64 = 1_000_000;

/// What a way's packets wait for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// Their turn, at so many kilobits per second. 64 KB go at once: a packet may be that large.
    Turn(u64),
    /// A fixed time.
    Time(Duration),
}

impl Wait {
    fn queue(self) -> String {
        match self {
            Wait::Turn(kbit) => format!("tbf rate {kbit}kbit burst 70000 limit 16mb"),
            Wait::Time(time) => format!("netem delay {}us limit 100000", time.as_micros()),
        }
    }

    /// The same queue, without any wait.
    fn none(self) -> String {
        match self {
            Wait::Turn(_) => "tbf rate 10gbit burst 16mb limit 16mb".to_owned(),
            Wait::Time(_) => "netem delay 0us limit 100000".to_owned(),
        }
    }
}

/// A way's packets wait at the sender's device.
pub(super) struct Shaper {
    pub(super) fault: &'static str,
    pub(super) way: Way,
    pub(super) wait: Wait,
    pub(super) open: Option<Open>,
}

/// What a window needs, in the order in which it is let go.
pub(super) struct Open {
    undo: Undo,
    log: Log,
}

impl Shaper {
    /// Whether this host can: tried in an empty network.
    pub(super) fn probe(&self) -> Result<()> {
        if !self.way.talk.server.ip().is_loopback() {
            return Err(self.refused("the way is not over loopback"));
        }
        let text = format!("{}{}", self.text(), self.change(self.wait.none()));
        let tried = command::feed("unshare", &["-n", "tc", "-batch", "-"], &text);
        tried.map_err(|why| self.refused(&why))
    }

    fn refused(&self, why: &str) -> Error {
        let kind = self.wait.queue();
        let kind = kind.split(' ').next().unwrap_or_default();
        Error::Refused {
            fault: self.fault,
            reason: format!(
                "its queue, {kind}, does not work on this kernel ({}); packet-delay with \
                 `at_sender = true` delays what is sent without one",
                why.replace('\n', " ")
            ),
        }
    }

    /// For `tc -batch`.
    fn text(&self) -> String {
        let server = self.way.talk.server;
        let (protocol, header) = match server.is_ipv6() {
            true => ("ipv6", "ip6"),
            false => ("ip", "ip"),
        };
        let port = if self.way.asks { "dport" } else { "sport" };
        format!(
            "qdisc add dev {DEVICE} root handle {CLASSES} htb\n\
             class add dev {DEVICE} parent {CLASSES} classid {CLASSES}1 htb rate 10gbit quantum 200000\n\
             qdisc add dev {DEVICE} parent {CLASSES}1 handle {QUEUE} {}\n\
             filter add dev {DEVICE} parent {CLASSES} protocol {protocol} u32 \
             match {header} {port} {} 0xffff flowid {CLASSES}1\n",
            self.wait.queue(),
            server.port()
        )
    }

    fn change(&self, queue: String) -> String {
        format!("qdisc change dev {DEVICE} parent {CLASSES}1 handle {QUEUE} {queue}\n")
    }

    fn tc(&self, text: &str) -> Result<()> {
        command::feed("tc", &["-batch", "-"], text).map_err(|reason| Error::Inject {
            fault: self.fault,
            reason,
        })
    }

    /// Logs what is sent and, of this way, what comes: each chain with its rules.
    fn logging(&self, log: &Log) -> [(Chain, String); 2] {
        let packets = self.way.packets();
        let address = self.way.talk.server.ip();
        let (sent, came) = (
            Chain::new(Hook::Output, address),
            Chain::new(Hook::Input, address),
        );
        let forth = sent.log(&packets.text(), b'f', log.group);
        let back = sent.log(&packets.back().text(), b'b', log.group);
        let arrives = came.log(&packets.text(), b'a', log.group);
        [(sent, forth + &back), (came, arrives)]
    }
}

impl Injector for Shaper {
    fn begin(&mut self) -> Result<()> {
        let log = Log::start(self.way.talk).map_err(refused(self.fault))?;
        let chains = self.logging(&log);
        let mut undo: String = chains.iter().map(|(chain, _)| chain.undo()).collect();
        undo += &format!(
            "! tc qdisc show dev {DEVICE} | grep -q 'htb {CLASSES} root' || \
             tc qdisc del dev {DEVICE} root handle {CLASSES}\n"
        );
        let undo = Undo::arm(&undo, NOTHING)?;
        for (chain, rules) in &chains {
            chain.insert(rules)?;
        }
        self.tc(&self.text())?;
        self.open = Some(Open { undo, log });
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(open) = self.open.take() else {
            return Ok(Vec::new());
        };
        // What waits in a queue that is deleted is lost.
        self.tc(&self.change(self.wait.none()))?;
        settle(|| met(&open.log.seen()).all(|met| met.to_ns.is_some()));
        open.undo.now()?;
        let log = open.log.finish().map_err(failed(self.fault))?;
        let long = |met: &Met| met.to_ns.is_some_and(|to| to - met.from_ns >= SHORTEST);
        Ok(hits(met(&log).filter(long), &log))
    }
}

/// The packets of the way, from where they are sent to where they come.
fn met(log: &[Seen]) -> impl Iterator<Item = Met> {
    let came = log.iter().filter(|seen| seen.rule == b'a' && !seen.again);
    let came: HashMap<_, _> = came
        .map(|seen| ((seen.flow, seen.bytes.end()), seen.at))
        .collect();
    let sent = log.iter().filter(|seen| seen.rule == b'f' && !seen.again);
    sent.map(move |seen| Met {
        flow: seen.flow,
        bytes: seen.bytes,
        from_ns: seen.at,
        to_ns: came
            .get(&(seen.flow, seen.bytes.end()))
            .map(|at| seen.at.max(*at)),
        how: "kept at their sender's device",
    })
}
