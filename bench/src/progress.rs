//! How far the measurement is, on standard error: a bar at a terminal, else a line per phase.

use std::{cell::Cell, time::Duration};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::plan::{Level, Plan};

/// What a run takes besides its load: the tracer attaches and ends (s).
const AROUND: f64 = 1.5;
/// What a lab takes to start or to end (s).
const LAB: f64 = 4.0;
/// What a hit of a probe takes, with and without tracer (s).
const HIT: f64 = 2e-6;

/// One part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The labs start.
    Labs,
    /// Caches are filled.
    WarmUp,
    /// The interleaved runs.
    Runs,
    /// Time in every program.
    Programs,
    /// Hits of a probe.
    Hits,
    /// The busy host.
    Neighbour,
}

impl Phase {
    /// In their order.
    const ALL: [Self; 6] = [
        Self::Labs,
        Self::WarmUp,
        Self::Runs,
        Self::Programs,
        Self::Hits,
        Self::Neighbour,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Labs => "starting the labs",
            Self::WarmUp => "warming up",
            Self::Runs => "interleaved runs",
            Self::Programs => "time in every program",
            Self::Hits => "hits of a probe",
            Self::Neighbour => "beside a busy neighbour",
        }
    }

    /// How many steps it has.
    fn steps(self, plan: &Plan) -> u32 {
        match self {
            Self::Labs | Self::Neighbour => 1,
            Self::WarmUp => 3,
            Self::Runs => {
                plan.pairs
                    * plan
                        .levels
                        .iter()
                        .map(|l| l.arms().len() as u32)
                        .sum::<u32>()
            }
            Self::Programs => 2 * plan.pairs.div_ceil(2),
            Self::Hits => 2 * plan.pairs,
        }
    }

    /// How long all of them take (s).
    fn seconds(self, plan: &Plan) -> f64 {
        let steps = f64::from(self.steps(plan));
        let runs = |level: &Level| level.arms().len() as f64 * (plan.seconds(*level) + AROUND);
        match self {
            Self::Labs => 3.0 * LAB,
            Self::WarmUp => steps * (plan.seconds(Level::Saturation) + AROUND),
            Self::Runs => f64::from(plan.pairs) * plan.levels.iter().map(runs).sum::<f64>(),
            Self::Programs => steps * (plan.seconds(Level::Half) + AROUND),
            Self::Hits => steps * (plan.hits as f64 * HIT + AROUND),
            Self::Neighbour => plan.seconds(Level::Half) + AROUND,
        }
    }
}

/// The measurement under way.
#[derive(Debug)]
pub struct Progress {
    plan: Plan,
    bar: ProgressBar,
    phase: Cell<Phase>,
    step: Cell<u32>,
}

impl Progress {
    /// Nothing is done yet. The bar counts milliseconds that the steps are expected to take.
    pub fn of(plan: &Plan) -> Self {
        let all: f64 = Phase::ALL.iter().map(|phase| phase.seconds(plan)).sum();
        let style = ProgressStyle::with_template("{bar:30} {elapsed_precise}, {eta} left · {msg}");
        let bar = ProgressBar::new(millis(all))
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self {
            plan: plan.clone(),
            bar,
            phase: Cell::new(Phase::Labs),
            step: Cell::new(0),
        }
    }

    /// `phase` begins.
    pub fn phase(&self, phase: Phase) {
        self.phase.set(phase);
        self.step.set(0);
        let earlier = Phase::ALL.iter().take_while(|other| **other != phase);
        let done = earlier.map(|phase| phase.seconds(&self.plan)).sum();
        self.bar.set_position(millis(done));
        self.bar.set_message(self.heading());
        if self.bar.is_hidden() {
            let left = self.bar.length().unwrap_or(0) - self.bar.position();
            let left = HumanDuration(Duration::from_millis(left));
            eprintln!("{}, about {left} to go", self.heading());
        }
    }

    /// The next step of the phase begins.
    pub fn step(&self, what: &str) {
        let (phase, step) = (self.phase.get(), self.step.get());
        let steps = phase.steps(&self.plan);
        let (heading, step) = (self.heading(), step + 1);
        self.bar
            .set_message(format!("{heading}, {step} of {steps}: {what}"));
    }

    /// A step of the phase is done.
    pub fn done(&self) {
        let phase = self.phase.get();
        self.step.set(self.step.get() + 1);
        let of_step = phase.seconds(&self.plan) / f64::from(phase.steps(&self.plan));
        self.bar.inc(millis(of_step));
    }

    fn heading(&self) -> String {
        let phase = self.phase.get();
        let number = Phase::ALL.iter().position(|other| *other == phase);
        let (number, count) = (number.map_or(0, |at| at + 1), Phase::ALL.len());
        format!("phase {number} of {count}, {}", phase.label())
    }
}

/// The bar goes when the measurement is over, or has failed.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_done_is_all_that_was_expected() {
        let plan = Plan::new(false, Some(3));
        let progress = Progress::of(&plan);
        for phase in Phase::ALL {
            progress.phase(phase);
            let before = progress.bar.position();
            for _ in 0..phase.steps(&plan) {
                progress.step("a step");
                progress.done();
            }
            let counted = progress.bar.position() - before;
            // Each step is rounded down.
            let lack = millis(phase.seconds(&plan)) - counted;
            assert!(lack <= u64::from(phase.steps(&plan)), "{phase:?}: {lack}");
        }
    }
}
