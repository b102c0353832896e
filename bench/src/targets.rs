//! What tracing must not cost more than, one line each.

use std::fmt;

use serde::Serialize;

use crate::{
    arm::Arm, compare::Runs, interval::Interval, plan::Level, programs::Programs, sample::Sample,
};

/// Largest resident size of the tracer.
const MEMORY: u64 = 64 << 20;

/// Mean time of a kernel hook per event that it delivers (ns).
const EVENT_NS: f64 = 300.0;

/// One promise, and whether it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// What is promised.
    pub promise: String,
    /// What was measured.
    pub measured: String,
    /// Whether that keeps the promise.
    pub reached: bool,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.reached { "reached" } else { "MISSED " };
        write!(f, "{verdict}  {:<52} {}", self.promise, self.measured)
    }
}

/// Holds what was measured against what is promised.
pub fn judge(runs: &Runs, programs: &Programs) -> Vec<Target> {
    vec![
        throughput(runs, Arm::Full, 0.05),
        tail(runs, Arm::Full, 0.05),
        throughput(runs, Arm::Lean, 0.05),
        tail(runs, Arm::Lean, 0.05),
        throughput(runs, Arm::Sampled, 0.01),
        tail(runs, Arm::Sampled, 0.01),
        event(programs),
        memory(runs),
        ahead(runs, Arm::Pipeline),
        ahead(runs, Arm::Otel),
    ]
}

fn throughput(runs: &Runs, arm: Arm, bound: f64) -> Target {
    let change = runs.throughput((arm, Arm::Off));
    let loss = change.map(|change| change.scaled(-1.0));
    Target {
        promise: format!(
            "{}: at most {:.0} % less throughput",
            arm.label(),
            bound * 100.0
        ),
        measured: percent(loss),
        reached: loss.is_some_and(|loss| loss.median <= bound),
    }
}

/// Over all paces at once: of a single one the 99th percentile varies more from run to run than the bound.
fn tail(runs: &Runs, arm: Arm, bound: f64) -> Target {
    let paced: Vec<Level> = runs
        .levels()
        .filter(|level| *level != Level::Saturation)
        .collect();
    let p99 = |sample: &Sample| sample.p99_ns as f64;
    let all = runs.change(&paced, (arm, Arm::Off), p99);
    let each = paced.iter().filter_map(|level| {
        let change = runs.change(&[*level], (arm, Arm::Off), p99)?;
        Some(format!("{} {:+.1}", level.label(), change.median * 100.0))
    });
    Target {
        promise: format!("{}: p99 at most {:.0} % longer", arm.label(), bound * 100.0),
        measured: format!("{} ({})", percent(all), each.collect::<Vec<_>>().join(", ")),
        reached: all.is_some_and(|all| all.median <= bound),
    }
}

fn event(programs: &Programs) -> Target {
    let ns = programs.kernel_ns_per_event();
    Target {
        promise: format!("at most {EVENT_NS:.0} ns per kernel event delivered"),
        measured: format!(
            "{ns:.0} ns ({:.0} ns per run of a hook)",
            programs.kernel_ns_per_run()
        ),
        reached: ns <= EVENT_NS,
    }
}

fn memory(runs: &Runs) -> Target {
    let tracers = runs
        .levels()
        .flat_map(|level| runs.of(level, Arm::Full))
        .filter_map(|sample| sample.tracer.as_ref());
    let peak = tracers
        .map(|tracer| tracer.peak_rss_bytes)
        .max()
        .unwrap_or(u64::MAX);
    Target {
        promise: format!(
            "tracer at most {} MiB resident, ring included",
            MEMORY >> 20
        ),
        measured: format!("{:.1} MiB", peak as f64 / f64::from(1 << 20)),
        reached: peak <= MEMORY,
    }
}

fn ahead(runs: &Runs, peer: Arm) -> Target {
    let change = runs.throughput((Arm::Full, peer));
    Target {
        promise: format!(
            "{}: more throughput than {}",
            Arm::Full.label(),
            peer.label()
        ),
        measured: percent(change),
        reached: change.is_some_and(|change| change.median > 0.0),
    }
}

fn percent(interval: Option<Interval>) -> String {
    match interval.map(|share| share.scaled(100.0)) {
        Some(share) => {
            // A share that was turned around has its bounds the other way.
            let (low, high) = (share.low.min(share.high), share.low.max(share.high));
            format!("{:+.1} % [{low:+.1}, {high:+.1}]", share.median)
        }
        None => "not measured".to_owned(),
    }
}
