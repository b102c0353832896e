//! How well the changes that were told in the course of a run are those that were made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tierscope_analyzer::{Change, Kind, Window};
use tierscope_model::Nanos;

use crate::inject::Held;
use crate::spec::{Experiment, Rate};

/// A rate that changes by less than this factor is no change.
const FACTOR: f64 = 1.4;

/// The score of what changes in a whole run, and in no single request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeScore {
    /// What was changed: `load` or the window's fault.
    pub fault: String,
    /// How often.
    pub injected: u64,
    /// How often a change of the right kind was told at that time.
    pub found: u64,
}

/// A change that was made, on the load's own clock.
struct Made {
    fault: &'static str,
    cause: Vec<Kind>,
    from: Nanos,
    to: Nanos,
}

/// Scores `changes`. `start_ns`: when the first request was sent; `window`: length of the windows in
/// which changes were looked for. Also the times of changes that nothing that was injected explains, by kind.
pub(crate) fn changed(
    experiment: &Experiment,
    held: &[Held],
    start_ns: u64,
    window: Nanos,
    changes: &[Change],
) -> (Vec<ChangeScore>, BTreeMap<String, u64>) {
    let mut made = steps(experiment);
    made.extend(
        held.iter()
            .filter(|held| is_of_windows(&held.cause))
            .map(|held| Made {
                fault: experiment.window[held.window].inject.name(),
                cause: held.cause.clone(),
                from: held.from_ns.saturating_sub(start_ns),
                to: held.to_ns.saturating_sub(start_ns),
            }),
    );
    let tells = |(kind, time): (Kind, &Window), made: &Made| {
        let near = time.from_ns < made.to + window && made.from < time.to_ns + window;
        // A load stays changed: what counts is when it began to be.
        let begins = kind != Kind::LoadShift || time.from_ns.abs_diff(made.from) <= window;
        near && begins && made.cause.contains(&kind)
    };
    let told = || {
        let all = changes.iter();
        all.flat_map(|change| change.windows.iter().map(|time| (change.kind, time)))
    };
    let mut scores: BTreeMap<&str, ChangeScore> = BTreeMap::new();
    for one in &made {
        let score = scores.entry(one.fault).or_default();
        score.fault = one.fault.to_owned();
        score.injected += 1;
        score.found += u64::from(told().any(|change| tells(change, one)));
    }
    let mut false_ones = BTreeMap::new();
    for change in told() {
        let explained = made.iter().any(|made| tells(change, made))
            || is_explained(experiment, held, start_ns, window, change);
        if !explained {
            *false_ones.entry(change.0.name().to_owned()).or_default() += 1;
        }
    }
    (scores.into_values().collect(), false_ones)
}

/// Whether a fault is one of windows, not of requests.
pub(crate) fn is_of_windows(cause: &[Kind]) -> bool {
    !cause.is_empty() && cause.iter().all(|kind| kind.floor().is_none())
}

/// The changes of the rate that are worth the name.
fn steps(experiment: &Experiment) -> Vec<Made> {
    let Rate::Open(mut rate) = experiment.load.rate else {
        return Vec::new();
    };
    let mut made = Vec::new();
    for step in &experiment.load.steps {
        if step.rate >= rate * FACTOR || rate >= step.rate * FACTOR {
            let at = (step.at_s * 1e9) as Nanos;
            made.push(Made {
                fault: "load",
                cause: vec![Kind::LoadShift],
                from: at,
                to: at,
            });
        }
        rate = step.rate;
    }
    made
}

/// Whether a fault of requests, or of a window, makes such a change.
fn is_explained(
    experiment: &Experiment,
    held: &[Held],
    start_ns: u64,
    window: Nanos,
    (kind, time): (Kind, &Window),
) -> bool {
    let of_requests = experiment.fault.iter();
    let of_requests = of_requests.flat_map(|fault| fault.cause.iter().chain(&fault.others));
    let within = |held: &Held| {
        time.from_ns < held.to_ns.saturating_sub(start_ns) + window
            && held.from_ns.saturating_sub(start_ns) < time.to_ns + window
    };
    of_requests.into_iter().any(|one| *one == kind) || held.iter().any(within)
}
