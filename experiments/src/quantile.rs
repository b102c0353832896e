//! Quantiles of a small set, exactly.

use serde::{Deserialize, Serialize};

/// Median, 99th percentile and maximum, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 99 of 100 are at or below.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Quantiles {
    /// Of nanoseconds, by the nearest rank; zeros for an empty set.
    pub fn of_ns(mut values: Vec<u64>) -> Quantiles {
        values.sort_unstable();
        let at = |share: f64| rank(&values, share) as f64 / 1000.0;
        Quantiles {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// The value of which that share is at or below; 0 of nothing.
pub(crate) fn rank(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let q = Quantiles::of_ns((1..=100).map(|n| n * 1000).collect());
        assert_eq!((q.p50, q.p99, q.max), (50.0, 99.0, 100.0));
        assert_eq!(Quantiles::of_ns(Vec::new()), Quantiles::default());
    }
}
