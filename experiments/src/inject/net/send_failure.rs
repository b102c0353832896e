//! Packets that the sender's own host refuses: TCP is told so, keeps them, and tries again a time-out later.
//!
//! What was refused is not sent again: it has never left.

use super::hits::{Met, hits, seen_again};
use super::log::{Log, Seen};
use super::rules::{Chain, Hook, NOTHING};
use super::way::Way;
use super::{failed, refused, settle};
use crate::error::Result;
use crate::inject::undo::Undo;
use crate::inject::{Hit, Injector};

/// On the packets that are refused, between the rule that chooses them and those that log and drop them.
const MARK: &str = "0x7e5c09e";

pub(super) const FAULT: &str = "send-failure";

/// Every `every`-th packet of a way is refused, of one connection one in a second: the next may be the same.
pub(super) struct Refuser {
    pub(super) way: Way,
    pub(super) every: u64,
    pub(super) open: Option<Open>,
}

/// What a window needs, in the order in which it is let go.
pub(super) struct Open {
    undo: Undo,
    chain: Chain,
    log: Log,
}

impl Refuser {
    pub(super) fn probe(&self) -> Result<()> {
        let chain = self.chain();
        let log = Log::start(self.way.talk).map_err(refused(FAULT))?;
        chain.probe(&self.rules(&chain, &log, true))
    }

    fn chain(&self) -> Chain {
        Chain::new(Hook::Output, self.way.talk.server.ip())
    }

    fn rules(&self, chain: &Chain, log: &Log, refuse: bool) -> String {
        let packets = self.way.packets();
        let mut rules = chain.log(&packets.text(), b'f', log.group);
        rules += &chain.log(&packets.back().text(), b'b', log.group);
        if refuse {
            let chosen = format!("-m mark --mark {MARK}");
            rules += &chain.rule(&self.choice(chain), &format!("MARK --set-mark {MARK}"));
            rules += &chain.log(&chosen, b'd', log.group);
            rules += &chain.rule(&chosen, "DROP");
        }
        rules
    }

    fn choice(&self, chain: &Chain) -> String {
        let packets = self.way.packets();
        let least = self.way.talk.longest_upkeep() + 1;
        let every = match self.every {
            0 | 1 => String::new(),
            every => format!("-m statistic --mode nth --every {every} --packet 0"),
        };
        format!(
            "{} {every} -m hashlimit --hashlimit-name {} --hashlimit-mode srcport,dstport \
             --hashlimit-upto 1/second --hashlimit-burst 1",
            packets.with_data(least),
            chain.name
        )
    }
}

impl Injector for Refuser {
    fn begin(&mut self) -> Result<()> {
        let chain = self.chain();
        let log = Log::start(self.way.talk).map_err(failed(FAULT))?;
        let undo = Undo::arm(&chain.undo(), NOTHING)?;
        chain.insert(&self.rules(&chain, &log, true))?;
        self.open = Some(Open { undo, chain, log });
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(open) = self.open.take() else {
            return Ok(Vec::new());
        };
        open.chain
            .replace(&self.rules(&open.chain, &open.log, false))?;
        settle(|| {
            let log = open.log.seen();
            met(&log).all(|met| met.is_told(&log))
        });
        open.undo.now()?;
        let log = open.log.finish().map_err(failed(FAULT))?;
        Ok(hits(met(&log), &log))
    }
}

/// The packets that were refused.
fn met(log: &[Seen]) -> impl Iterator<Item = Met> {
    let refused = log.iter().filter(|seen| seen.rule == b'd');
    refused.map(|seen| Met {
        flow: seen.flow,
        bytes: seen.bytes,
        from_ns: seen.at,
        to_ns: seen_again(log, seen.flow, seen.bytes, seen.at),
        how: "refused",
    })
}
