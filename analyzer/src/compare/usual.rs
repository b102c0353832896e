//! What an endpoint's requests normally do at each path.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tierscope_model::{Nanos, Trace};

use super::group::{Group, Path, groups};
use super::overlap;
use crate::sketch::Sketch;

/// Most paths that are told apart: a program that makes up statements may not fill the memory.
const LIMIT: usize = 32_768;
/// The share of requests that lies below what is normal, and above it: a run may hold its share of faults.
const TAIL: f64 = 0.1;
/// Under so many requests nothing is said.
const LEAST: u64 = 20;

/// From which time to which a row is as usual: the middle eight tenths, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Normal {
    /// One request in ten has less.
    pub from_ns: Nanos,
    /// One in ten has more.
    pub to_ns: Nanos,
}

impl Normal {
    /// Whether a time lies in it; a baseline knows its edges within 1 %.
    pub(super) fn holds(&self, nanos: Nanos) -> bool {
        let slack = |edge: Nanos| edge / 100;
        let low = self.from_ns - slack(self.from_ns);
        (low..=self.to_ns.saturating_add(slack(self.to_ns))).contains(&nanos)
    }
}

/// Time on the critical path, by path, over many requests of an endpoint.
#[derive(Clone, Debug, Default)]
pub struct Usual {
    requests: u64,
    paths: HashMap<Path, Times>,
}

/// Times at one path, of one request each.
#[derive(Clone, Debug, Default)]
struct Times {
    /// Without what is under it.
    own: Sketch,
    /// With it.
    whole: Sketch,
}

impl Usual {
    /// Takes a trace in. One that may lack something is left out.
    pub fn learn(&mut self, trace: &Trace) {
        if trace.incomplete.is_empty() && !trace.spans.is_empty() {
            self.requests += 1;
            self.insert(&groups(trace, overlap(trace)));
        }
    }

    /// Takes groups in and gives their time on the critical path, with all under them.
    fn insert(&mut self, groups: &[Group<'_>]) -> Nanos {
        let mut sum = 0;
        let mut ways: BTreeMap<Path, Nanos> = BTreeMap::new();
        for group in groups {
            let own = group.cell.critical_ns;
            let whole = own + self.insert(&group.children);
            self.note(group.path, own, whole);
            if let Some(way) = group.way {
                *ways.entry(way).or_default() += whole;
            }
            sum += whole;
        }
        for (way, whole) in ways {
            self.note(way, 0, whole);
        }
        sum
    }

    fn note(&mut self, path: Path, own: Nanos, whole: Nanos) {
        if self.paths.len() < LIMIT || self.paths.contains_key(&path) {
            let times = self.paths.entry(path).or_default();
            times.own.insert(own);
            times.whole.insert(whole);
        }
    }

    /// How many requests it is of.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// What is normal at a path: its own time, and that with all under it; none where too few requests
    /// were seen. A path that a request does not have takes it no time.
    pub(super) fn normal(&self, path: Path) -> Option<(Normal, Normal)> {
        let of = |sketch: Option<&Sketch>| {
            let at = |share| sketch.map_or(0, |s| s.quantile(share, self.requests));
            Normal {
                from_ns: at(TAIL),
                to_ns: at(1.0 - TAIL),
            }
        };
        let times = self.paths.get(&path);
        let both = (of(times.map(|t| &t.own)), of(times.map(|t| &t.whole)));
        (self.requests >= LEAST).then_some(both)
    }
}
