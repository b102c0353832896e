//! Faults that user space makes: every packet with data passes a gate, which holds back or drops some.

use std::time::Duration;

use super::choice::Choice;
use super::delay::Delay;
use super::gate::{Gate, Judge};
use super::hits::{Met, hits};
use super::log::Log;
use super::loss::Loss;
use super::rules::{Chain, Hook, NOTHING};
use super::way::Way;
use super::{failed, refused, settle};
use crate::error::Result;
use crate::inject::undo::Undo;
use crate::inject::{Hit, Injector};

/// What happens to chosen packets.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Held(Duration),
    Lost,
}

/// Every `every`-th packet of a way, met at `hook`.
pub(super) struct Queued {
    pub(super) fault: &'static str,
    pub(super) way: Way,
    pub(super) hook: Hook,
    pub(super) every: u64,
    pub(super) what: What,
    pub(super) open: Option<Open>,
}

/// What a window needs. In the order in which it is let go: packets without a gate pass, and none is
/// left at a gate that closes.
pub(super) struct Open {
    undo: Undo,
    chain: Chain,
    gate: Gate,
    log: Log,
}

impl Queued {
    /// Whether this host can.
    pub(super) fn probe(&self) -> Result<()> {
        let chain = Chain::new(self.hook, self.way.talk.server.ip());
        let log = Log::start(self.way.talk).map_err(refused(self.fault))?;
        let gate = Gate::open(self.judge()).map_err(refused(self.fault))?;
        chain.probe(&self.rules(&chain, &log, Some(&gate)))
    }

    fn judge(&self) -> Box<dyn Judge> {
        let choice = Choice::new(self.way.talk, self.every);
        match self.what {
            What::Held(time) => Box::new(Delay::new(choice, time)),
            What::Lost => Box::new(Loss::new(choice)),
        }
    }

    /// Both directions are logged, so that an answer tells whose it is; then one of them is queued.
    fn rules(&self, chain: &Chain, log: &Log, gate: Option<&Gate>) -> String {
        let packets = self.way.packets();
        let mut rules = chain.log(&packets.text(), b'f', log.group);
        rules += &chain.log(&packets.back().text(), b'b', log.group);
        if let Some(gate) = gate {
            // Without a listener packets pass.
            let queue = format!("NFQUEUE --queue-num {} --queue-bypass", gate.queue);
            rules += &chain.rule(&packets.text(), &queue);
        }
        rules
    }
}

impl Injector for Queued {
    fn begin(&mut self) -> Result<()> {
        let chain = Chain::new(self.hook, self.way.talk.server.ip());
        let log = Log::start(self.way.talk).map_err(failed(self.fault))?;
        let gate = Gate::open(self.judge()).map_err(failed(self.fault))?;
        let undo = Undo::arm(&chain.undo(), NOTHING)?;
        chain.insert(&self.rules(&chain, &log, Some(&gate)))?;
        self.open = Some(Open {
            undo,
            chain,
            gate,
            log,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(open) = self.open.take() else {
            return Ok(Vec::new());
        };
        open.gate.rest();
        open.chain
            .replace(&self.rules(&open.chain, &open.log, None))?;
        let touched = open.gate.close().map_err(failed(self.fault))?;
        settle(|| {
            let log = open.log.seen();
            touched.iter().all(|t| Met::at_gate(t, &log).is_told(&log))
        });
        open.undo.now()?;
        let log = open.log.finish().map_err(failed(self.fault))?;
        let met = touched.iter().map(|touched| Met::at_gate(touched, &log));
        Ok(hits(met, &log))
    }
}
