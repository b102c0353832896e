//! What a run's verdicts come to: groups of findings, and the dearest requests. Bounded, however many
//! traces there are.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use tierscope_model::{Nanos, RequestId, TraceId};

use crate::finding::{Flagged, Kind};
use crate::judge::Verdict;
use crate::windows::Change;

/// Most requests whose findings are kept one by one; of more, the dearest.
const REQUESTS: usize = 10_000;
/// Most groups, each endpoint of one counted.
const GROUPS: usize = 4_096;

/// Findings of one kind, of one thing: one cause, whichever endpoints it hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Which kind.
    pub kind: Kind,
    /// Of what, as in [`crate::Finding::of`].
    pub of: String,
    /// Where it was found, the endpoint that it cost most in all first; never empty.
    pub endpoints: Vec<Hit>,
    /// Requests.
    pub requests: u64,
    /// What they cost in all, in nanoseconds.
    pub cost_ns: Nanos,
    /// The dearest of them: its cost, its endpoint, its request, the sentence about it, and the limit it crossed.
    pub worst_ns: Nanos,
    /// Its method and route template.
    pub endpoint: String,
    /// Its request.
    pub request_id: Option<RequestId>,
    /// Its trace.
    pub trace_id: TraceId,
    /// The sentence about it.
    pub sentence: String,
    /// The limit that it crossed.
    pub threshold: String,
}

/// One endpoint's part in a group of findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// Method and route template.
    pub endpoint: String,
    /// Requests.
    pub requests: u64,
    /// What they cost in all, in nanoseconds.
    pub cost_ns: Nanos,
}

/// Kind, of what, endpoint.
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
    /// Findings by cause, the dearest in all first.
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
                endpoints: Vec::new(),
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
        Findings {
            judged: self.judged,
            flagged: self.flagged,
            incomplete: self.incomplete,
            baseline_too_small: self.too_small,
            groups: by_cause(self.groups),
            changes,
            requests: self.requests,
            together: Vec::new(),
        }
    }

    fn keep_the_dearest(&mut self) {
        let cost = |flagged: &Flagged| flagged.findings.first().map_or(0, |f| f.cost_ns);
        self.requests
            .sort_by_key(|flagged| (Reverse(cost(flagged)), flagged.start, flagged.trace_id));
        for dropped in self.requests.split_off(REQUESTS.min(self.requests.len())) {
            self.group(&dropped);
        }
    }
}

/// One group per kind and thing, the dearest first.
fn by_cause(of_endpoints: BTreeMap<GroupKey, Group>) -> Vec<Group> {
    let mut causes: BTreeMap<(Kind, String), Group> = BTreeMap::new();
    for ((kind, of, endpoint), mut group) in of_endpoints {
        let hit = Hit {
            endpoint,
            requests: group.requests,
            cost_ns: group.cost_ns,
        };
        match causes.entry((kind, of)) {
            Entry::Vacant(place) => {
                group.endpoints.push(hit);
                place.insert(group);
            }
            Entry::Occupied(mut known) => known.get_mut().join(group, hit),
        }
    }
    let mut groups: Vec<Group> = causes.into_values().collect();
    for group in &mut groups {
        group.endpoints.sort_by_key(|hit| Reverse(hit.cost_ns));
    }
    groups.sort_by_key(|group| Reverse(group.cost_ns));
    groups
}

impl Group {
    /// Takes in what the same cause did at another endpoint.
    fn join(&mut self, mut other: Group, hit: Hit) {
        let mut endpoints = std::mem::take(&mut self.endpoints);
        endpoints.push(hit);
        let requests = self.requests + other.requests;
        let cost_ns = self.cost_ns.saturating_add(other.cost_ns);
        if other.worst_ns > self.worst_ns {
            std::mem::swap(self, &mut other);
        }
        (self.endpoints, self.requests, self.cost_ns) = (endpoints, requests, cost_ns);
    }
}

#[cfg(test)]
mod tests {
    use tierscope_model::Timestamp;

    use super::*;
    use crate::finding::Finding;
    use crate::limit::Limit;

    fn flagged(trace: u128, endpoint: &str, kind: Kind, cost_ns: Nanos) -> Verdict {
        let finding = Finding {
            kind,
            behind: None,
            of: "nginx → app".to_owned(),
            span: None,
            cost_ns,
            value: cost_ns,
            normal: Limit::default(),
            floor_ns: 0,
            p: 0.01,
            sentence: format!("{cost_ns} ns at {endpoint}"),
            threshold: String::new(),
        };
        Verdict::Flagged(Box::new(Flagged {
            endpoint: endpoint.to_owned(),
            request_id: None,
            trace_id: TraceId(trace),
            start: Timestamp(0),
            duration_ns: cost_ns,
            baseline_ns: 0,
            excess_ns: cost_ns as i64,
            findings: vec![finding],
            deltas: Vec::new(),
        }))
    }

    #[test]
    fn one_cause_is_one_group_at_whichever_endpoints() {
        let mut tally = Tally::default();
        let unread = Kind::SocketBuffer;
        for (trace, endpoint, kind, cost) in [
            (1, "GET /a", unread, 10),
            (2, "GET /b", unread, 40),
            (3, "GET /a", unread, 20),
            (4, "GET /c", unread, 50),
            (5, "GET /a", unread, 25),
            (6, "GET /a", Kind::SlowNetwork, 60),
        ] {
            tally.add(endpoint, flagged(trace, endpoint, kind, cost));
        }
        let found = tally.finish(Vec::new());
        let kinds: Vec<Kind> = found.groups.iter().map(|group| group.kind).collect();
        assert_eq!(kinds, [unread, Kind::SlowNetwork], "the dearest first");
        let group = &found.groups[0];
        assert_eq!((group.requests, group.cost_ns), (5, 145));
        let dearest = (group.worst_ns, group.trace_id, &*group.endpoint);
        assert_eq!(dearest, (50, TraceId(4), "GET /c"));
        assert_eq!(group.sentence, "50 ns at GET /c");
        let hits = group.endpoints.iter();
        let hits: Vec<_> = hits
            .map(|hit| (&*hit.endpoint, hit.requests, hit.cost_ns))
            .collect();
        assert_eq!(
            hits,
            [("GET /a", 3, 55), ("GET /c", 1, 50), ("GET /b", 1, 40)]
        );
    }
}
