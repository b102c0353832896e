//! The interleaved runs: for every pair and level each arm once, each time in another order.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    arm::Arm,
    interval::Interval,
    load::{Load, Pace},
    plan::{Level, Plan},
    progress::{Phase, Progress},
    sample::Sample,
    session,
    stand::Stand,
};

/// Every run, the nth of an arm beside the nth of another.
#[derive(Debug, Default, Serialize)]
pub struct Runs {
    /// What the closed loop got through untraced before the first run (requests/s).
    pub saturation: f64,
    samples: BTreeMap<Level, BTreeMap<Arm, Vec<Sample>>>,
}

impl Runs {
    /// Makes all runs of the plan.
    pub fn measure(stand: &Stand, plan: &Plan, progress: &Progress) -> anyhow::Result<Self> {
        progress.phase(Phase::WarmUp);
        let mut runs = Self {
            saturation: warm_up(stand, plan, progress)?,
            ..Self::default()
        };
        progress.phase(Phase::Runs);
        for pair in 0..plan.pairs {
            for level in &plan.levels {
                runs.pair(stand, plan, *level, pair, progress)?;
            }
        }
        Ok(runs)
    }

    fn pair(
        &mut self,
        stand: &Stand,
        plan: &Plan,
        level: Level,
        pair: u32,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let load = Load {
            pace: level.pace(self.saturation),
            seconds: plan.seconds(level),
            seed: u64::from(pair) + 1,
        };
        for arm in order(level.arms(), pair) {
            progress.step(&format!("{}, {}", level.label(), arm.label()));
            let sample = session::run(stand, arm, &load)?;
            let of_level = self.samples.entry(level).or_default();
            of_level.entry(arm).or_default().push(sample);
            progress.done();
        }
        Ok(())
    }

    /// The runs of an arm under a level, in their order.
    pub fn of(&self, level: Level, arm: Arm) -> &[Sample] {
        let runs = self.samples.get(&level).and_then(|arms| arms.get(&arm));
        runs.map_or(&[], Vec::as_slice)
    }

    /// The levels that were measured.
    pub fn levels(&self) -> impl Iterator<Item = Level> {
        self.samples.keys().copied()
    }

    /// The median of a figure.
    pub fn median(
        &self,
        level: Level,
        arm: Arm,
        figure: impl Fn(&Sample) -> f64,
    ) -> Option<Interval> {
        Interval::of(self.of(level, arm).iter().map(figure))
    }

    /// By which share a figure of `arm` is above that of `other`, pair by pair, over some levels.
    pub fn change(
        &self,
        levels: &[Level],
        (arm, other): (Arm, Arm),
        figure: impl Fn(&Sample) -> f64 + Copy,
    ) -> Option<Interval> {
        let pairs = levels
            .iter()
            .flat_map(|level| self.of(*level, arm).iter().zip(self.of(*level, other)));
        Interval::of(pairs.map(|(with, without)| figure(with) / figure(without) - 1.0))
    }

    /// By which share `arm` gets more requests through than `other`, at saturation.
    pub fn throughput(&self, (arm, other): (Arm, Arm)) -> Option<Interval> {
        self.change(&[Level::Saturation], (arm, other), |sample| sample.rate)
    }
}

/// What drifts must not fall on one arm: every pair begins with another, every second one runs backwards.
fn order(mut arms: Vec<Arm>, pair: u32) -> Vec<Arm> {
    let first = pair as usize / 2 % arms.len();
    arms.rotate_left(first);
    if pair % 2 == 1 {
        arms.reverse();
    }
    arms
}

/// Fills caches and prepares statements; what the closed loop gets through (requests/s).
fn warm_up(stand: &Stand, plan: &Plan, progress: &Progress) -> anyhow::Result<f64> {
    let load = Load {
        pace: Pace::Closed,
        seconds: plan.seconds(Level::Saturation),
        seed: 0,
    };
    let mut rate = 0.0;
    for arm in [Arm::Otel, Arm::Off, Arm::Off] {
        progress.step(arm.label());
        rate = session::run(stand, arm, &load)?.rate;
        progress.done();
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_holds_every_arm_and_no_two_pairs_in_a_row_the_same() {
        for pair in 0..8 {
            let mut arms = order(Arm::ALL.to_vec(), pair);
            assert_ne!(arms, order(Arm::ALL.to_vec(), pair + 1));
            arms.sort_unstable();
            assert_eq!(arms, Arm::ALL);
        }
    }
}
