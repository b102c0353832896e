//! Medians with an interval that supposes nothing of the distribution.

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF as _};

/// What the interval should cover.
const COVERAGE: f64 = 0.95;

/// A median between two of the values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Of the values.
    pub median: f64,
    /// The value that bounds the true median from below.
    pub low: f64,
    /// The same from above.
    pub high: f64,
    /// How surely the true median lies between them: 0.95 or more from 6 values on.
    pub coverage: f64,
}

impl Interval {
    /// Of some values; none of no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let (rank, coverage) = rank(sorted.len())?;
        Some(Self {
            median: (sorted[last / 2] + sorted[sorted.len() / 2]) / 2.0,
            low: sorted[rank],
            high: sorted[last - rank],
            coverage,
        })
    }

    /// The same of other units.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            low: self.low * factor,
            high: self.high * factor,
            ..self
        }
    }
}

/// How many values to leave out at either end, and what the rest covers: of `n` values, the number
/// below the true median is binomial.
fn rank(n: usize) -> Option<(usize, f64)> {
    let below = Binomial::new(0.5, n as u64).ok()?;
    let covered = |rank: usize| 1.0 - 2.0 * below.cdf(rank as u64);
    let ranks = (0..n.div_ceil(2)).take_while(|rank| covered(*rank) >= COVERAGE);
    let rank = ranks.last().unwrap_or(0);
    Some((rank, covered(rank)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_values_are_bounded_by_their_second_and_ninth() {
        let found = Interval::of((1..=10).rev().map(f64::from)).expect("values");
        assert_eq!((found.median, found.low, found.high), (5.5, 2.0, 9.0));
        assert!((found.coverage - 0.978_5).abs() < 1e-3);
    }

    #[test]
    fn few_values_say_how_little_they_tell() {
        let found = Interval::of([3.0, 1.0]).expect("values");
        assert_eq!((found.median, found.low, found.high), (2.0, 1.0, 3.0));
        assert!((found.coverage - 0.5).abs() < 1e-9);
        assert_eq!(Interval::of([]), None);
    }
}
