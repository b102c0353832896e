//! Mann–Whitney's test on sketches, and Benjamini–Hochberg's limit on many of them.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::sketch::Sketch;

/// How two samples compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranks {
    /// Probability of such a difference, or a greater one, where there is none (two-sided).
    pub(crate) p: f64,
    /// Cliff's δ: share of pairs in which the first is greater, less that in which it is smaller.
    pub(crate) effect: f64,
}

impl Ranks {
    /// Of two samples; what of each number of values is not in the sketch is 0.
    pub(crate) fn of(a: (&Sketch, u64), b: (&Sketch, u64)) -> Ranks {
        let (n, m) = (a.1 as f64, b.1 as f64);
        let (mut below, mut wins, mut ties) = (0.0, 0.0, 0.0);
        for (mine, theirs) in merged(a, b) {
            let (mine, theirs) = (mine as f64, theirs as f64);
            wins += mine * (below + theirs / 2.0);
            below += theirs;
            ties += (mine + theirs).powi(3) - (mine + theirs);
        }
        let all = n + m;
        let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)).max(1.0));
        if n == 0.0 || m == 0.0 || variance <= 0.0 {
            return Ranks {
                p: 1.0,
                effect: 0.0,
            };
        }
        let z = (wins - n * m / 2.0) / variance.sqrt();
        let p = 2.0 * Normal::standard().sf(z.abs());
        Ranks {
            p,
            effect: 2.0 * wins / (n * m) - 1.0,
        }
    }
}

/// How often each value is in both, in order of value.
fn merged(a: (&Sketch, u64), b: (&Sketch, u64)) -> Vec<(u64, u64)> {
    let zeros = |(sketch, n): (&Sketch, u64)| n.saturating_sub(sketch.count());
    let mut counts = std::collections::BTreeMap::from([(0, (zeros(a), zeros(b)))]);
    for (value, count) in a.0.values() {
        counts.entry(value).or_insert((0, 0)).0 += u64::from(count);
    }
    for (value, count) in b.0.values() {
        counts.entry(value).or_insert((0, 0)).1 += u64::from(count);
    }
    counts.into_values().collect()
}

/// Those of the tests that hold when at most a share `q` of them may be false. `tests` are those with a
/// p of at most `q`; `made` is how many there were in all.
pub(crate) fn significant<T: Clone>(
    tests: &[T],
    made: u64,
    q: f64,
    p: impl Fn(&T) -> f64,
) -> Vec<T> {
    let mut sorted: Vec<&T> = tests.iter().collect();
    sorted.sort_by(|a, b| p(a).total_cmp(&p(b)));
    let fits = |(rank, test): (usize, &&T)| p(test) <= q * (rank + 1) as f64 / made.max(1) as f64;
    let last = sorted
        .iter()
        .enumerate()
        .rev()
        .find(|(rank, test)| fits((*rank, test)));
    let kept = last.map_or(0, |(rank, _)| rank + 1);
    sorted.into_iter().take(kept).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::tests::sketch;

    #[test]
    fn as_counted_by_hand() {
        // U = 0 + 1 + 0 + 3 + 2 = 6 of 30 pairs, σ² = 30: z = −1.6432.
        let (a, b) = (sketch(&[1, 4, 2, 9, 7]), sketch(&[3, 8, 10, 11, 12, 6]));
        let ranks = Ranks::of((&a, 5), (&b, 6));
        assert!((ranks.p - 0.10035).abs() < 1e-4, "{}", ranks.p);
        assert!((ranks.effect + 0.6).abs() < 1e-9, "{}", ranks.effect);
    }

    #[test]
    fn equal_samples_do_not_differ() {
        let a = sketch(&[5, 5, 5]);
        let ranks = Ranks::of((&a, 10), (&a, 10));
        assert_eq!(ranks.effect, 0.0);
        assert!(ranks.p > 0.99);
        let all = Ranks::of((&Sketch::default(), 10), (&Sketch::default(), 10));
        assert_eq!((all.p, all.effect), (1.0, 0.0));
    }

    #[test]
    fn benjamini_and_hochbergs_own_example() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459,
        ];
        assert_eq!(significant(&p, 15, 0.05, |p| *p).len(), 4);
    }
}
