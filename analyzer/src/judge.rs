//! Traces, judged one by one against a baseline.

use std::collections::HashMap;

use tierscope_model::{Nanos, Timestamp, Trace};

use crate::baseline::{Baseline, whole_profile};
use crate::delta::{deltas, told};
use crate::detect::{Case, findings};
use crate::finding::{Finding, Flagged};
use crate::glance::Glance;
use crate::host::Host;
use crate::limit::{Limit, Normal, Source};
use crate::others::Others;
use crate::profile::Profile;
use crate::shift::{Recent, Shift};
use crate::tally::{Findings, Tally};
use crate::windows::{Change, Windows};

/// What became of a trace.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing about it is out of the ordinary.
    Normal,
    /// Something is.
    Flagged(Box<Flagged>),
    /// It may lack something: no verdict.
    Incomplete,
    /// Its endpoint's baseline is too small: no verdict.
    TooSmall,
}

/// Judges traces. It is as large as its baseline, however many traces it sees.
#[derive(Debug)]
pub struct Judge {
    pub(crate) baseline: Baseline,
    normals: HashMap<String, Normal>,
    others: Others,
    windows: Option<Windows>,
    host: Host,
    learning: Option<Learning>,
}

/// What a judge keeps that learns as it goes.
#[derive(Debug, Default)]
struct Learning {
    recent: HashMap<String, Recent>,
    shifts: Vec<Change>,
    first: Option<Timestamp>,
}

/// A baseline is looked at anew when it has grown by this part of itself.
const GROWN: u64 = 10;

impl Judge {
    /// A judge by a baseline of other traces than those to be judged.
    pub fn new(baseline: Baseline) -> Judge {
        Judge::by(baseline, Source::Other)
    }

    /// A judge of the very traces that the baseline was learned from: what lies apart from all others is
    /// left out of it first.
    pub fn of_same(baseline: Baseline) -> Judge {
        Judge::by(baseline, Source::Same)
    }

    fn by(baseline: Baseline, source: Source) -> Judge {
        let endpoints = baseline.endpoints.iter().filter(|(_, e)| !e.is_too_small());
        let normal = |endpoint| Normal::of(endpoint, &baseline.names, source);
        let normals = endpoints
            .map(|(name, e)| (name.clone(), normal(e)))
            .collect();
        let others = Others::default();
        Judge {
            baseline,
            normals,
            others,
            windows: None,
            host: Host::default(),
            learning: None,
        }
    }

    /// The judge, told what other requests did: waits are put down to them.
    pub fn knowing(self, others: Others) -> Judge {
        Judge { others, ..self }
    }

    /// The judge, told to look for changes, too, in windows of this length (ns).
    pub fn with_windows(self, length: Nanos) -> Judge {
        let windows = Some(Windows::new(length));
        Judge { windows, ..self }
    }

    /// The judge, told to learn as it goes: a request is tested first. It notes by itself what
    /// requests do to others, and what lasts becomes normal.
    pub fn learning(self) -> Judge {
        let learning = Some(Learning::default());
        Judge { learning, ..self }
    }

    /// What is normal, as far as it is known.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// What is normal of how long an endpoint's requests take; of one that is not known well enough, nothing.
    pub fn duration(&self, endpoint: &str) -> Option<Limit> {
        self.normals.get(endpoint).map(|normal| normal.duration)
    }

    /// Takes in what was kept of a trace that the baseline was learned from, and says whether it is worth to
    /// be looked at again; of the others the `tally` is kept. None: it may lack something.
    pub fn glanced(&mut self, glance: Option<&Glance>, tally: &mut Tally) -> bool {
        let Some(glance) = glance else {
            tally.add("", Verdict::Incomplete);
            return false;
        };
        self.host.begins(glance.start);
        if let Some(windows) = &mut self.windows {
            windows.add(&glance.endpoint, &glance.profile(), &self.baseline);
        }
        if !glance.worth {
            let known = self.normals.contains_key(&glance.endpoint);
            let verdict = if known {
                Verdict::Normal
            } else {
                Verdict::TooSmall
            };
            tally.add(&glance.endpoint, verdict);
        }
        glance.worth
    }

    /// Judges a trace that was glanced at before.
    pub fn look_again(&mut self, trace: &Trace) -> Verdict {
        let Some(profile) = self.baseline.measure(trace) else {
            return Verdict::Incomplete;
        };
        self.host.note(trace, &profile, &self.baseline.names);
        self.verdict(trace, &profile)
    }

    /// Judges one trace.
    pub fn judge(&mut self, trace: &Trace) -> Verdict {
        let Some(profile) = self.baseline.measure(trace) else {
            return Verdict::Incomplete;
        };
        self.host.note(trace, &profile, &self.baseline.names);
        if let Some(windows) = &mut self.windows {
            windows.add(&trace.endpoint, &profile, &self.baseline);
        }
        if self.learning.is_none() {
            return self.verdict(trace, &profile);
        }
        self.others.note(trace);
        let verdict = self.verdict(trace, &profile);
        self.learn(&trace.endpoint, &profile, &verdict);
        verdict
    }

    fn learn(&mut self, name: &str, profile: &Profile, verdict: &Verdict) {
        let findings = match verdict {
            Verdict::Flagged(flagged) => flagged.findings.as_slice(),
            _ => {
                self.baseline.insert(name, profile);
                &[]
            }
        };
        let shift = self.shifted(name, profile, findings);
        let shifted = shift.is_some();
        if let Some(shift) = shift {
            self.baseline.endpoints.insert(name.to_owned(), shift.now);
        }
        let known = self.normals.get(name).map_or(0, |normal| normal.n);
        let Some(endpoint) = self.baseline.endpoints.get(name) else {
            return;
        };
        if !endpoint.is_too_small() && (shifted || endpoint.n >= known + known / GROWN) {
            let normal = Normal::of(endpoint, &self.baseline.names, Source::Other);
            self.normals.insert(name.to_owned(), normal);
        }
    }

    /// A shift that this request confirms, noted. A bounded number of endpoints is watched: those of the
    /// baseline.
    fn shifted(&mut self, name: &str, profile: &Profile, findings: &[Finding]) -> Option<Shift> {
        let learning = self.learning.as_mut()?;
        let first = *learning.first.get_or_insert(profile.start);
        let before = self.baseline.endpoints.get(name)?;
        if before.is_too_small() {
            return None;
        }
        let recent = learning.recent.entry(name.to_owned()).or_default();
        let shift = recent.add((name, before), profile, findings, first)?;
        learning.shifts.push(shift.change.clone());
        Some(shift)
    }

    /// Whether the host held a trace's request up together with others, as far as is known when all were judged.
    pub fn was_held_up(&mut self, trace: &Trace) -> bool {
        let profile = whole_profile(trace, &mut self.baseline.names);
        profile.is_some_and(|profile| self.host.held_up(trace, &profile, &self.baseline.names))
    }

    /// All that was found in the traces judged, of which the `tally` was kept. What the host did to several
    /// requests at once is one change.
    pub fn conclude(&mut self, mut tally: Tally) -> Findings {
        let together = tally.take_together(|flagged| self.host.of(flagged));
        let mut changes = self.changes();
        changes.extend(self.host.changes(&together));
        changes.extend(self.learning.take().into_iter().flat_map(|l| l.shifts));
        changes.sort_by_key(|change| std::cmp::Reverse(change.cost_ns));
        Findings {
            together: together.into_iter().map(|(_, flagged)| flagged).collect(),
            ..tally.finish(changes)
        }
    }

    /// What changed in the course of the traces judged, the dearest first.
    pub fn changes(&mut self) -> Vec<Change> {
        let windows = self.windows.take();
        windows.map_or_else(Vec::new, |windows| windows.finish(&self.baseline))
    }

    fn verdict(&self, trace: &Trace, profile: &Profile) -> Verdict {
        let normal = self.normals.get(&trace.endpoint);
        let Some((normal, endpoint)) = normal.zip(self.baseline.endpoints.get(&trace.endpoint))
        else {
            return Verdict::TooSmall;
        };
        let names = &self.baseline.names;
        let case = Case {
            trace,
            profile,
            normal,
            endpoint,
            names,
            others: &self.others,
        };
        let findings = findings(&case);
        if findings.is_empty() {
            return Verdict::Normal;
        }
        Verdict::Flagged(Box::new(Flagged {
            endpoint: trace.endpoint.clone(),
            request_id: trace.request_id,
            trace_id: trace.trace_id,
            start: profile.start,
            duration_ns: profile.duration,
            baseline_ns: normal.typical.duration,
            excess_ns: profile.duration as i64 - normal.typical.duration as i64,
            findings,
            deltas: told(deltas(profile, &normal.typical), names),
        }))
    }
}
