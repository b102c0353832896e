//! What happened to packets, told as hits: each with the request that it met, as far as the log names it.

use super::gate::Touched;
use super::log::Seen;
use super::packet::{Bytes, Flow};
use super::whose::whose;
use crate::inject::Hit;

/// The log and the gate are two threads: what is logged first may be noted last.
const SLACK: u64 = 20_000_000;

/// A packet that was delayed, or dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    /// From when on it was kept from going.
    pub(super) from_ns: u64,
    /// When its bytes went after all; none where that was not seen.
    pub(super) to_ns: Option<u64>,
    /// What happened to it.
    pub(super) how: &'static str,
}

impl Met {
    /// A packet at the gate. The bytes of one that was dropped go when they are seen again.
    pub(super) fn at_gate(touched: &Touched, log: &[Seen]) -> Met {
        let again = || seen_again(log, touched.flow, touched.bytes, touched.from_ns);
        Met {
            flow: touched.flow,
            bytes: touched.bytes,
            from_ns: touched.from_ns,
            to_ns: match touched.dropped {
                true => again(),
                false => Some(touched.to_ns),
            },
            how: if touched.dropped { "lost" } else { "held back" },
        }
    }

    /// As a hit; none where it was no request's, or nobody can tell whose.
    fn hit(&self, log: &[Seen]) -> Option<Hit> {
        let (from, to, len) = (self.flow.from, self.flow.to, self.bytes.len);
        Some(Hit {
            from_ns: self.from_ns,
            to_ns: self.to_ns.unwrap_or(self.from_ns),
            request: Some(whose(log, self.place(log)?)?),
            magnitude_ns: self.to_ns.map(|to| to.saturating_sub(self.from_ns)),
            clients: Vec::new(),
            what: format!("{len} bytes {from} → {to} {}", self.how),
        })
    }

    /// Whether the log has all that is to be told of it.
    pub(super) fn is_told(&self, log: &[Seen]) -> bool {
        let place = self.place(log);
        self.to_ns.is_some() && place.is_some_and(|at| whose(log, at).is_some())
    }

    /// Where the log has it: it was logged just before.
    fn place(&self, log: &[Seen]) -> Option<usize> {
        let same = log.iter().enumerate();
        let same = same.filter(|(_, seen)| seen.flow == self.flow && seen.bytes == self.bytes);
        let nearest = same.min_by_key(|(_, seen)| seen.at.abs_diff(self.from_ns));
        nearest.map(|(at, _)| at)
    }
}

/// The hits of packets in order of time: those of one request are one, as long as they were together.
pub(super) fn hits(met: impl Iterator<Item = Met>, log: &[Seen]) -> Vec<Hit> {
    let mut all: Vec<Hit> = met.filter_map(|met| met.hit(log)).collect();
    all.sort_by_key(|hit| hit.from_ns);
    let mut hits: Vec<Hit> = Vec::with_capacity(all.len());
    for hit in all {
        match hits.iter_mut().find(|known| known.request == hit.request) {
            Some(known) => join(known, &hit),
            None => hits.push(hit),
        }
    }
    hits
}

fn join(known: &mut Hit, hit: &Hit) {
    let more = hit.to_ns.saturating_sub(hit.from_ns.max(known.to_ns));
    known.magnitude_ns = known
        .magnitude_ns
        .zip(hit.magnitude_ns)
        .map(|(known, _)| known + more);
    known.to_ns = known.to_ns.max(hit.to_ns);
    known.what = format!("{}; {}", known.what, hit.what);
}

/// When a flow's bytes were seen again after they were dropped.
pub(super) fn seen_again(log: &[Seen], flow: Flow, bytes: Bytes, from_ns: u64) -> Option<u64> {
    let mut same = log.iter().filter(|s| {
        s.rule == b'f' && s.flow == flow && s.bytes.overlap(bytes) && s.at + SLACK > from_ns
    });
    // The first is the one that was dropped.
    same.nth(1).map(|seen| seen.at)
}
