//! What is normal, per endpoint: sketches and sums, no traces.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tierscope_model::{Nanos, Timestamp, Trace};

use crate::glance::Glance;
use crate::names::{Adopted, CauseId, Names, PlaceId};
use crate::profile::{Profile, Shape, profile};
use crate::sketch::Sketch;
use crate::typical::{Durations, pairs};

/// Fewer traces than this of an endpoint are no baseline.
pub const SMALLEST: u64 = 200;
/// The form of the file.
const VERSION: u32 = 1;
/// Most endpoints, and most shapes of one, that are told apart.
const MOST_ENDPOINTS: usize = 1_024;
const MOST_SHAPES: usize = 512;

/// Why a baseline cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BaselineError {
    /// Another version's file.
    #[error("a baseline of version {0}: this program reads version {VERSION}")]
    Version(u32),
    /// It refers to what it does not hold.
    #[error("the baseline is damaged: it refers to a name, place or cause that it does not hold")]
    Damaged,
}

/// What one endpoint's requests do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) n: u64,
    pub(crate) duration: Sketch,
    pub(crate) sums: Durations,
    /// Time on the critical path by cause, of one request.
    #[serde(with = "pairs")]
    pub(crate) causes: BTreeMap<CauseId, Sketch>,
    /// How long one call at a place takes.
    #[serde(with = "pairs")]
    pub(crate) calls: BTreeMap<PlaceId, Sketch>,
    /// How many calls one request makes at a place.
    #[serde(with = "pairs")]
    pub(crate) counts: BTreeMap<PlaceId, Sketch>,
    pub(crate) operations: Sketch,
    pub(crate) bytes: Sketch,
    pub(crate) files: Sketch,
    pub(crate) blocks: Sketch,
    pub(crate) misses: Sketch,
    #[serde(with = "pairs")]
    pub(crate) shapes: BTreeMap<Shape, u64>,
}

/// A baseline: what is normal. A file that merges with others and holds no raw traces.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Baseline {
    version: u32,
    pub(crate) names: Names,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    /// Length of the recordings that it is of, in nanoseconds, and their requests: the normal rate.
    pub(crate) length: Nanos,
    pub(crate) requests: u64,
    #[serde(skip)]
    times: Option<(Timestamp, Timestamp)>,
    /// Traces that were left out: incomplete, or of too many endpoints.
    #[serde(skip)]
    pub(crate) left_out: u64,
}

impl Baseline {
    /// An empty one.
    pub fn new() -> Baseline {
        Baseline {
            version: VERSION,
            ..Baseline::default()
        }
    }

    /// Takes a trace in. One that may lack something is left out.
    pub fn learn(&mut self, trace: &Trace) {
        if let Some(profile) = self.measure(trace) {
            self.insert(&trace.endpoint, &profile);
        }
    }

    /// Takes a trace in, and gives what is to be kept of it for a second look; nothing of one that may lack
    /// something.
    pub fn glance(&mut self, trace: &Trace) -> Option<Glance> {
        let profile = self.measure(trace)?;
        self.insert(&trace.endpoint, &profile);
        Some(Glance::of(trace, &profile, &self.names))
    }

    /// The trace in this baseline's numbers; none where it may lack something.
    pub(crate) fn measure(&mut self, trace: &Trace) -> Option<Profile> {
        let profile = whole_profile(trace, &mut self.names);
        self.left_out += u64::from(profile.is_none());
        profile
    }

    pub(crate) fn insert(&mut self, endpoint: &str, profile: &Profile) {
        self.note_time(profile);
        let full = self.endpoints.len() >= MOST_ENDPOINTS;
        if full && !self.endpoints.contains_key(endpoint) {
            self.left_out += 1;
            return;
        }
        match self.endpoints.get_mut(endpoint) {
            Some(known) => known.insert(profile),
            None => {
                let fresh = self.endpoints.entry(endpoint.to_owned()).or_default();
                fresh.insert(profile);
            }
        }
    }

    fn note_time(&mut self, profile: &Profile) {
        let (first, last) = self.times.unwrap_or((profile.start, profile.start));
        let times = (first.min(profile.start), last.max(profile.start));
        self.length += times.1.since(times.0) - last.since(first);
        self.requests += 1;
        self.times = Some(times);
    }

    /// Takes in what another host or day found.
    pub fn merge(&mut self, other: &Baseline) {
        let numbers = self.names.adopt(&other.names);
        for (name, theirs) in &other.endpoints {
            let full = self.endpoints.len() >= MOST_ENDPOINTS;
            if full && !self.endpoints.contains_key(name) {
                continue;
            }
            let ours = self.endpoints.entry(name.clone()).or_default();
            ours.merge(theirs, &numbers);
        }
        self.length += other.length;
        self.requests += other.requests;
    }

    /// Checks what was read from a file.
    ///
    /// # Errors
    /// It is of another version, or refers to what it does not hold.
    pub fn checked(self) -> Result<Baseline, BaselineError> {
        if self.version != VERSION {
            return Err(BaselineError::Version(self.version));
        }
        let mut endpoints = self.endpoints.values();
        let sound = self.names.is_sound() && endpoints.all(|e| e.is_sound(&self.names));
        if sound {
            Ok(self)
        } else {
            Err(BaselineError::Damaged)
        }
    }

    /// How many traces of an endpoint it is of.
    pub fn count(&self, endpoint: &str) -> u64 {
        self.endpoints.get(endpoint).map_or(0, |e| e.n)
    }
}

/// A trace's profile; none where it may lack something.
pub(crate) fn whole_profile(trace: &Trace, names: &mut Names) -> Option<Profile> {
    let whole = trace.incomplete.is_empty() && trace.orphans().next().is_none();
    whole.then(|| profile(trace, names)).flatten()
}

impl Endpoint {
    pub(crate) fn insert(&mut self, profile: &Profile) {
        self.n += 1;
        self.duration.insert(profile.duration);
        self.sums.insert(profile);
        for (cause, nanos) in &profile.causes {
            self.causes.entry(*cause).or_default().insert(*nanos);
        }
        for call in &profile.calls {
            let sketch = self.calls.entry(call.place).or_default();
            sketch.insert(call.duration);
        }
        for (place, count) in &profile.counts {
            self.counts.entry(*place).or_default().insert(*count);
        }
        self.operations.insert(profile.io.operations);
        self.bytes.insert(profile.io.bytes);
        self.files.insert(profile.io.files);
        self.blocks.insert(profile.io.blocks);
        self.misses.insert(profile.misses);
        self.note_shape(&profile.shape, 1);
    }

    fn note_shape(&mut self, shape: &Shape, n: u64) {
        let full = self.shapes.len() >= MOST_SHAPES;
        match self.shapes.get_mut(shape) {
            Some(known) => *known += n,
            None if full => {}
            None => {
                self.shapes.insert(shape.clone(), n);
            }
        }
    }

    fn merge(&mut self, other: &Endpoint, numbers: &Adopted) {
        self.n += other.n;
        self.sums.merge(&other.sums, numbers);
        for (cause, sketch) in &other.causes {
            let ours = self.causes.entry(numbers.cause(*cause)).or_default();
            ours.merge(sketch);
        }
        for (ours, theirs) in [
            (&mut self.calls, &other.calls),
            (&mut self.counts, &other.counts),
        ] {
            for (place, sketch) in theirs {
                ours.entry(numbers.place(*place)).or_default().merge(sketch);
            }
        }
        for (ours, theirs) in self.plain().into_iter().zip(other.clone().plain()) {
            ours.merge(theirs);
        }
        for (shape, n) in &other.shapes {
            let mut shape: Shape = shape.iter().map(|(p, c)| (numbers.place(*p), *c)).collect();
            shape.sort_unstable();
            self.note_shape(&shape, *n);
        }
    }

    fn plain(&mut self) -> [&mut Sketch; 6] {
        [
            &mut self.duration,
            &mut self.operations,
            &mut self.bytes,
            &mut self.files,
            &mut self.blocks,
            &mut self.misses,
        ]
    }

    fn is_sound(&self, names: &Names) -> bool {
        let mut causes = self.causes.keys();
        let counted = self.calls.keys().chain(self.counts.keys()).copied();
        let shapes = self.shapes.keys().flatten().map(|(place, _)| *place);
        causes.all(|cause| names.has_cause(*cause))
            && counted.chain(shapes).all(|place| names.has_place(place))
            && self.sums.is_sound(names)
    }

    /// Whether it is of so few traces that nothing can be said.
    pub(crate) fn is_too_small(&self) -> bool {
        self.n < SMALLEST
    }
}
