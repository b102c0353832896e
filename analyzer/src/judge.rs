//! Traces, judged one by one against a baseline.

use std::collections::HashMap;

use tierscope_model::{Nanos, Trace};

use crate::baseline::Baseline;
use crate::busy::Busy;
use crate::delta::{deltas, told};
use crate::detect::{Case, findings};
use crate::finding::Flagged;
use crate::host::Host;
use crate::limit::{Normal, Source};
use crate::profile::Profile;
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
    busy: Busy,
    windows: Option<Windows>,
    host: Host,
}

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
        let busy = Busy::default();
        Judge {
            baseline,
            normals,
            busy,
            windows: None,
            host: Host::default(),
        }
    }

    /// The judge, told which requests kept threads busy: other requests' waits are put down to them.
    pub fn knowing(self, busy: Busy) -> Judge {
        Judge { busy, ..self }
    }

    /// The judge, told to look for changes, too, in windows of this length (ns).
    pub fn with_windows(self, length: Nanos) -> Judge {
        let windows = Some(Windows::new(length));
        Judge { windows, ..self }
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
        self.verdict(trace, &profile)
    }

    /// All that was found in the traces judged, of which the `tally` was kept. What the host did to several
    /// requests at once is one change.
    pub fn conclude(&mut self, mut tally: Tally) -> Findings {
        let together = tally.take_together(|flagged| self.host.of(flagged));
        let mut changes = self.changes();
        changes.extend(self.host.changes(&together));
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
            busy: &self.busy,
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
