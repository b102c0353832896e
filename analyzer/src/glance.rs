//! What is kept of a trace between the two looks at a run that is judged by itself.

use serde::{Deserialize, Serialize};
use tierscope_model::{Doing, Nanos, Timestamp, Trace};

use crate::cause::CauseKind;
use crate::host;
use crate::limit::floor;
use crate::names::{CauseId, Names};
use crate::profile::Profile;

/// Calls that take less in all, and files and disks that do, are no finding whatever is normal.
const CALLS: Nanos = 5_000_000;
const FILES: Nanos = 1_000_000;

/// A trace in a few numbers, some hundredth of its size: all that the search for changes needs, and
/// whether it can have findings at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Glance {
    pub(crate) endpoint: String,
    pub(crate) start: Timestamp,
    pub(crate) duration: Nanos,
    pub(crate) causes: Vec<(CauseId, Nanos)>,
    pub(crate) misses: u64,
    /// It is worth a second look.
    pub(crate) worth: bool,
}

impl Glance {
    pub(crate) fn of(trace: &Trace, profile: &Profile, names: &Names) -> Glance {
        Glance {
            endpoint: trace.endpoint.clone(),
            start: profile.start,
            duration: profile.duration,
            causes: profile.causes.clone(),
            misses: profile.misses,
            worth: can_have_findings(profile, names) || waited_for_a_cpu(trace),
        }
    }

    /// As much of the profile as it kept.
    pub(crate) fn profile(&self) -> Profile {
        Profile {
            start: self.start,
            duration: self.duration,
            causes: self.causes.clone(),
            misses: self.misses,
            ..Profile::default()
        }
    }
}

/// Whether anything of it is over the least that a finding costs.
fn can_have_findings(profile: &Profile, names: &Names) -> bool {
    let costs = |(cause, nanos): &(CauseId, Nanos)| *nanos >= floor(names.kind_of(*cause));
    let is_file = |(cause, _): &&(CauseId, Nanos)| {
        matches!(names.kind_of(*cause), CauseKind::File | CauseKind::Disk)
    };
    let files: Nanos = profile.causes.iter().filter(is_file).map(|(_, n)| n).sum();
    let calls: Nanos = profile.calls.iter().map(|call| call.critical).sum();
    files >= FILES || calls >= CALLS || profile.causes.iter().any(costs)
}

fn waited_for_a_cpu(trace: &Trace) -> bool {
    let mut slices = trace.spans.iter().flat_map(|span| &span.slices);
    slices.any(|slice| slice.doing == Doing::Runnable && slice.duration() >= host::SHORTEST)
}
