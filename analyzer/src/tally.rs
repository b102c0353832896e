//! What a run's verdicts come to: groups of findings, and the dearest requests. Bounded, however many
//! traces there are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tierscope_model::{Nanos, RequestId, TraceId};

use crate::finding::{Flagged, Kind};
use crate::judge::Verdict;
use crate::windows::Change;

/// Most requests whose findings are kept one by one; of more, the dearest.
const REQUESTS: usize = 10_000;
/// Most groups.
const GROUPS: usize = 4_096;

/// Findings of one kind, of one thing, at one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Which kind.
    pub kind: Kind,
    /// Of what, as in [`crate::Finding::of`].
    pub of: String,
    /// Method and route template.
    pub endpoint: String,
    /// Requests.
    pub requests: u64,
    /// What they cost in all, in nanoseconds.
    pub cost_ns: Nanos,
    /// The dearest of them: its cost, its request, the sentence about it, and the limit it crossed.
    pub worst_ns: Nanos,
    /// Its request.
    pub request_id: Option<RequestId>,
    /// Its trace.
    pub trace_id: TraceId,
    /// The sentence about it.
    pub sentence: String,
    /// The limit that it crossed.
    pub threshold: String,
}

type GroupKey = (Kind, String, String);

/// All that was found in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Traces judged.
    pub judged: u64,
    /// Of these, those with findings.
    pub flagged: u64,
    /// Traces without a verdict because something of them may be missing.
    pub incomplete: u64,
    /// Traces without a verdict because their endpoint's baseline is too small.
    pub baseline_too_small: BTreeMap<String, u64>,
    /// Findings of one kind, the dearest in all first.
    pub groups: Vec<Group>,
    /// What changed in the course of the run, the dearest first.
    pub changes: Vec<Change>,
    /// The requests with findings, the one with the dearest finding first; 10,000 at most.
    pub requests: Vec<Flagged>,
    /// The requests whose findings are no more than what the host did to several at once, which is a change:
    /// they are not counted as flagged, and are in no group.
    #[serde(default)]
    pub together: Vec<Flagged>,
}

/// Counts of verdicts, and what was found so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    judged: u64,
    flagged: u64,
    incomplete: u64,
    too_small: BTreeMap<String, u64>,
    groups: BTreeMap<GroupKey, Group>,
    requests: Vec<Flagged>,
}

impl Tally {
    /// Takes a verdict in.
    pub fn add(&mut self, endpoint: &str, verdict: Verdict) {
        match verdict {
            Verdict::Normal => self.judged += 1,
            Verdict::Incomplete => self.incomplete += 1,
            Verdict::TooSmall => *self.too_small.entry(endpoint.to_owned()).or_default() += 1,
            Verdict::Flagged(flagged) => {
                self.judged += 1;
                self.flagged += 1;
                self.requests.push(*flagged);
                if self.requests.len() >= 2 * REQUESTS {
                    self.keep_the_dearest();
                }
            }
        }
    }

    fn group(&mut self, flagged: &Flagged) {
        for found in &flagged.findings {
            let key = (found.kind, found.of.clone(), flagged.endpoint.clone());
            if self.groups.len() >= GROUPS && !self.groups.contains_key(&key) {
                continue;
            }
            let group = self.groups.entry(key).or_insert_with(|| Group {
                kind: found.kind,
                of: found.of.clone(),
                endpoint: flagged.endpoint.clone(),
                requests: 0,
                cost_ns: 0,
                worst_ns: 0,
                request_id: None,
                trace_id: flagged.trace_id,
                sentence: String::new(),
                threshold: String::new(),
            });
            group.requests += 1;
            group.cost_ns = group.cost_ns.saturating_add(found.cost_ns);
            if found.cost_ns > group.worst_ns || group.sentence.is_empty() {
                group.worst_ns = found.cost_ns;
                (group.request_id, group.trace_id) = (flagged.request_id, flagged.trace_id);
                group.sentence.clone_from(&found.sentence);
                group.threshold.clone_from(&found.threshold);
            }
        }
    }

    /// Takes out the requests that `of` knows a reason for that they share with others.
    pub(crate) fn take_together<K>(
        &mut self,
        of: impl Fn(&Flagged) -> Option<K>,
    ) -> Vec<(K, Flagged)> {
        let mut together = Vec::new();
        let (mut alone, all) = (Vec::new(), std::mem::take(&mut self.requests));
        for flagged in all {
            match of(&flagged) {
                Some(reason) => together.push((reason, flagged)),
                None => alone.push(flagged),
            }
        }
        self.requests = alone;
        self.flagged -= together.len() as u64;
        together.sort_by_key(|(_, flagged)| (flagged.start, flagged.trace_id));
        together
    }

    /// All that was found; `changes` are what changed in the course of the run.
    pub fn finish(mut self, changes: Vec<Change>) -> Findings {
        self.keep_the_dearest();
        for flagged in std::mem::take(&mut self.requests) {
            self.group(&flagged);
            self.requests.push(flagged);
        }
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.cost_ns));
        Findings {
            judged: self.judged,
            flagged: self.flagged,
            incomplete: self.incomplete,
            baseline_too_small: self.too_small,
            groups,
            changes,
            requests: self.requests,
            together: Vec::new(),
        }
    }

    fn keep_the_dearest(&mut self) {
        let cost = |flagged: &Flagged| flagged.findings.first().map_or(0, |f| f.cost_ns);
        self.requests.sort_by_key(|flagged| {
            (
                std::cmp::Reverse(cost(flagged)),
                flagged.start,
                flagged.trace_id,
            )
        });
        for dropped in self.requests.split_off(REQUESTS.min(self.requests.len())) {
            self.group(&dropped);
        }
    }
}
