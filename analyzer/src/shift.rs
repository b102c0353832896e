//! A sustained shift: what was not normal has become so.
//!
//! While requests are learned as they come, those with findings are left out. Where for a minute, and over
//! 200 requests of an endpoint, most have findings, that is how it is now: told once, and normal from then on.

use std::collections::BTreeMap;

use tierscope_model::{Nanos, Timestamp};

use crate::baseline::{Endpoint, SMALLEST};
use crate::finding::{Finding, Kind};
use crate::profile::Profile;
use crate::windows::{Change, Window};
use crate::words::{count, ms};

/// How long it must last.
const LASTING: Nanos = 60_000_000_000;
/// Most kinds of finding that are told apart.
const KINDS: usize = 64;

/// The latest requests of one endpoint, those with findings among them.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    since: Option<Timestamp>,
    last: Timestamp,
    flagged: u64,
    cost: Nanos,
    kinds: BTreeMap<(Kind, String), u64>,
    all: Endpoint,
}

/// A shift that lasts, and what is normal since.
pub(crate) struct Shift {
    pub(crate) change: Change,
    pub(crate) now: Endpoint,
}

impl Recent {
    /// Takes a request in, and says so if a shift is confirmed by it; `first` is when the recording began.
    pub(crate) fn add(
        &mut self,
        (endpoint, before): (&str, &Endpoint),
        profile: &Profile,
        findings: &[Finding],
        first: Timestamp,
    ) -> Option<Shift> {
        let since = *self.since.get_or_insert(profile.start);
        self.last = self.last.max(profile.start);
        self.all.insert(profile);
        self.note(findings);
        if self.all.n < SMALLEST || self.last.since(since) < LASTING {
            return None;
        }
        let recent = std::mem::take(self);
        let most = 2 * recent.flagged > recent.all.n;
        most.then(|| recent.shift(endpoint, before, since.since(first)))
    }

    fn note(&mut self, findings: &[Finding]) {
        let Some(dearest) = findings.first() else {
            return;
        };
        self.flagged += 1;
        self.cost += dearest.cost_ns;
        let key = (dearest.kind, dearest.of.clone());
        if self.kinds.len() < KINDS || self.kinds.contains_key(&key) {
            *self.kinds.entry(key).or_default() += 1;
        }
    }

    fn shift(self, endpoint: &str, before: &Endpoint, from_ns: Nanos) -> Shift {
        let most = self.kinds.into_iter().max_by_key(|(_, n)| *n);
        let (kind, of) = most.map_or((Kind::UnseenShape, String::new()), |(key, _)| key);
        let median = |endpoint: &Endpoint| ms(endpoint.duration.quantile(0.5, endpoint.n));
        let length = self.since.map_or(0, |since| self.last.since(since));
        let change = Change {
            kind,
            of,
            endpoints: vec![endpoint.to_owned()],
            from_ns,
            to_ns: from_ns + length,
            windows: vec![Window {
                from_ns,
                to_ns: from_ns + length,
            }],
            requests: self.flagged,
            cost_ns: self.cost,
            effect: self.flagged as f64 / self.all.n as f64,
            p: 0.0,
            sentence: format!(
                "{endpoint} is another since {:.0} s: {} of {} have findings, mostly {}; its median is {}, before {}. From here on that is normal.",
                from_ns as f64 / 1e9,
                self.flagged,
                count(self.all.n, "request"),
                kind.name(),
                median(&self.all),
                median(before),
            ),
            threshold: format!(
                "most of at least {SMALLEST} requests, for {} or more",
                ms(LASTING)
            ),
        };
        Shift {
            change,
            now: self.all,
        }
    }
}
