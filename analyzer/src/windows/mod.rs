//! What changed in the course of a recording: windows of time against the baseline.
//!
//! Each endpoint's values in a window are compared with the baseline's by rank; of all comparisons at most
//! 1 in 100 told is false (Benjamini–Hochberg), and an effect must be worth a word. All windows
//! and all endpoints with one cause are one change; a change of the request rate is one, too.

mod change;
mod load;
mod rank;

use std::collections::{BTreeMap, HashMap};

use tierscope_model::{Nanos, Timestamp};

use crate::baseline::{Baseline, Endpoint};
use crate::names::CauseId;
use crate::profile::Profile;
use crate::sketch::Sketch;

use change::Shifted;
pub use change::{Change, Window};
use load::Load;
use rank::Ranks;

/// Windows that are open at once: traces come nearly in order of time.
const OPEN: usize = 3;
/// Fewer requests than this of an endpoint in a window are not compared.
const FEWEST: u64 = 30;
/// Share of false ones among the changes told.
const Q: f64 = 0.01;
/// Cliff's δ from which an effect is worth a word: in two of three pairs the window's value is greater.
const EFFECT: f64 = 0.33;
/// A cause's mean rises by at least this, and by a tenth of the endpoint's median.
const FLOOR: Nanos = 1_000_000;
/// Cache misses rise by at least so many per request, whatever they cost it: what they ask for pays as well.
const MISSES: f64 = 0.5;
/// Most comparisons whose outcome is kept.
const LIMIT: usize = 100_000;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    Cause(CauseId),
    Misses,
}

#[derive(Debug, Default)]
struct Here {
    n: u64,
    causes: HashMap<CauseId, Sketch>,
    misses: Sketch,
    duration: Nanos,
}

/// Windows over a recording that goes on. Their memory does not grow with it.
#[derive(Debug)]
pub(crate) struct Windows {
    length: Nanos,
    first: Option<Timestamp>,
    open: BTreeMap<u64, BTreeMap<String, Here>>,
    /// Comparisons made; those with p ≤ q are kept.
    compared: u64,
    shifted: Vec<Shifted>,
    load: Load,
    closed: u64,
}

impl Windows {
    pub(crate) fn new(length: Nanos) -> Windows {
        Windows {
            length: length.max(1),
            first: None,
            open: BTreeMap::new(),
            compared: 0,
            shifted: Vec::new(),
            load: Load::default(),
            closed: 0,
        }
    }

    pub(crate) fn add(&mut self, endpoint: &str, profile: &Profile, baseline: &Baseline) {
        let first = *self.first.get_or_insert(profile.start);
        let number = profile.start.since(first) / self.length;
        if number < self.closed {
            return;
        }
        let window = self.open.entry(number).or_default();
        if !window.contains_key(endpoint) {
            window.insert(endpoint.to_owned(), Here::default());
        }
        if let Some(here) = window.get_mut(endpoint) {
            here.insert(profile);
        }
        while self.open.len() > OPEN {
            self.close(baseline);
        }
    }

    /// Compares the oldest open window.
    fn close(&mut self, baseline: &Baseline) {
        let Some((number, window)) = self.open.pop_first() else {
            return;
        };
        self.closed = number + 1;
        let requests: u64 = window.values().map(|here| here.n).sum();
        self.load.push(number, requests, self.length);
        for (name, here) in window {
            let endpoint = baseline.endpoints.get(&name).filter(|e| !e.is_too_small());
            if let Some(endpoint) = endpoint.filter(|_| here.n >= FEWEST) {
                self.compare(number, &name, &here, endpoint);
            }
        }
    }

    fn compare(&mut self, number: u64, name: &str, here: &Here, endpoint: &Endpoint) {
        let none = Sketch::default();
        let causes = here.causes.iter().map(|(cause, sketch)| {
            let normal = endpoint.causes.get(cause).unwrap_or(&none);
            (Subject::Cause(*cause), sketch, normal)
        });
        let misses = (Subject::Misses, &here.misses, &endpoint.misses);
        for (subject, sketch, normal) in causes.chain([misses]) {
            self.compared += 1;
            let ranks = Ranks::of((sketch, here.n), (normal, endpoint.n));
            if ranks.p > Q || self.shifted.len() >= LIMIT {
                continue;
            }
            let (mean, usual) = match subject {
                Subject::Cause(_) => (sketch.mean(here.n), normal.mean(endpoint.n)),
                Subject::Misses => (here.duration / here.n, endpoint.duration.mean(endpoint.n)),
            };
            let rate = match subject {
                Subject::Cause(_) => None,
                Subject::Misses => Some((sketch.per(here.n), normal.per(endpoint.n))),
            };
            let rises = match rate {
                None => mean.saturating_sub(usual) >= floor(endpoint),
                Some((rate, before)) => rate - before >= MISSES,
            };
            self.shifted.push(Shifted {
                number,
                endpoint: name.to_owned(),
                subject,
                p: ranks.p,
                effect: ranks.effect,
                mean,
                usual,
                rate,
                n: here.n,
                of: endpoint.n,
                worth: ranks.effect >= EFFECT && rises,
            });
        }
    }

    /// All changes, the dearest first.
    pub(crate) fn finish(mut self, baseline: &Baseline) -> Vec<Change> {
        // What came last is no whole window: its rate says nothing.
        while self.open.len() > 1 {
            self.close(baseline);
        }
        let significant = rank::significant(&self.shifted, self.compared, Q, |s| s.p);
        let shifted = significant.into_iter().filter(|s| s.worth).collect();
        change::changes(shifted, &self.load.shifts(), self.length, &baseline.names)
    }
}

/// The least shift of a cause's mean that is worth a word.
fn floor(endpoint: &Endpoint) -> Nanos {
    let tenth = endpoint.duration.quantile(0.5, endpoint.n) / 10;
    tenth.max(FLOOR)
}

impl Here {
    fn insert(&mut self, profile: &Profile) {
        self.n += 1;
        self.duration = self.duration.saturating_add(profile.duration);
        for (cause, nanos) in &profile.causes {
            self.causes.entry(*cause).or_default().insert(*nanos);
        }
        self.misses.insert(profile.misses);
    }
}
