//! A mergeable sketch of how long or how many: any quantile within 1 %.

use hdrhistogram::Histogram;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Two significant digits: values within 1 % of each other may be one.
const DIGITS: u8 = 2;
/// Greatest value that is told from greater ones: 2⁶² ns are 146 years.
const GREATEST: u64 = 1 << 62;
/// At most this share of the values may lie apart from the rest and be taken for another thing.
const APART: f64 = 0.1;

/// Values of one kind, in nanoseconds or as a count. Its size depends on their range, not on their number.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch(Histogram<u32>);

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch(Histogram::new(DIGITS).expect("two digits are possible"))
    }
}

impl Sketch {
    /// Takes a value in.
    pub fn insert(&mut self, value: u64) {
        self.insert_n(value, 1);
    }

    fn insert_n(&mut self, value: u64, count: u32) {
        let value = value.min(GREATEST);
        if self.0.record_n(value, count).is_err() {
            // Where it cannot grow so far: as the greatest that it can tell.
            self.0.saturating_record_n(value, count);
        }
    }

    /// Takes in what the other has.
    pub fn merge(&mut self, other: &Sketch) {
        for (value, count) in other.values() {
            self.insert_n(value, count);
        }
    }

    /// How many values it took.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The greatest of them, within 1 %; 0 without any.
    pub fn max(&self) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.max() }
    }

    /// The value that `share` (0 to 1) of `n` values do not exceed. What of the `n` was not inserted
    /// counts as 0.
    pub fn quantile(&self, share: f64, n: u64) -> u64 {
        let zeros = n.saturating_sub(self.count());
        let rank = ((share * n as f64).ceil() as u64).clamp(1, n.max(1));
        let Some(rank) = rank.checked_sub(zeros).filter(|rank| *rank > 0) else {
            return 0;
        };
        let mut seen = 0;
        for (value, count) in self.values() {
            seen += u64::from(count);
            if seen >= rank {
                return value;
            }
        }
        self.max()
    }

    /// The mean of `n` values; what of them was not inserted counts as 0.
    pub fn mean(&self, n: u64) -> u64 {
        self.sum().checked_div(u128::from(n)).unwrap_or(0) as u64
    }

    /// The same of counts, which may be less than one in the mean.
    pub(crate) fn per(&self, n: u64) -> f64 {
        self.sum() as f64 / n.max(1) as f64
    }

    fn sum(&self) -> u128 {
        let values = self.values();
        values
            .map(|(value, count)| u128::from(value) * u128::from(count))
            .sum()
    }

    /// How many of its values are at least `value`.
    pub fn at_least(&self, value: u64) -> u64 {
        let above = self.values().filter(|(v, _)| *v >= value);
        above.map(|(_, count)| u64::from(count)).sum()
    }

    /// Its values in order, each with how often it was inserted.
    pub fn values(&self) -> impl Iterator<Item = (u64, u32)> {
        let recorded = self.0.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value()))
    }

    /// Leaves out the topmost values if they lie apart: over `times` the next lower one and at least
    /// `floor` above it, and no more than 10 % of `n`. What lies apart is what a baseline is to find.
    pub fn without_those_apart(&self, n: u64, times: f64, floor: u64) -> Sketch {
        let zeros = n.saturating_sub(self.count());
        let bulk = ((1.0 - APART) * n as f64).ceil() as u64;
        let mut kept = Sketch::default();
        let (mut before, mut seen) = (0, zeros);
        for (value, count) in self.values() {
            let apart = value as f64 > times * before as f64 && value - before >= floor;
            if apart && seen >= bulk {
                return kept;
            }
            kept.insert_n(value, count);
            (before, seen) = (value, seen + u64::from(count));
        }
        kept
    }
}

impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.values())
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Sketch, D::Error> {
        let mut sketch = Sketch::default();
        for (value, count) in Vec::<(u64, u32)>::deserialize(input)? {
            if value > GREATEST * 2 {
                return Err(D::Error::custom(format!("{value} is no value of a sketch")));
            }
            sketch.insert_n(value, count);
        }
        Ok(sketch)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of these values.
    pub(crate) fn sketch(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.insert(*value));
        sketch
    }

    #[test]
    fn values_that_were_not_inserted_are_zeros() {
        let few = sketch(&[100, 200]);
        assert_eq!(few.quantile(0.5, 4), 0);
        assert_eq!(few.quantile(0.75, 4), 100);
        assert_eq!(few.quantile(1.0, 4), 200);
        assert_eq!(Sketch::default().quantile(0.5, 0), 0);
    }

    #[test]
    fn only_what_lies_apart_is_left_out() {
        let mut values: Vec<u64> = (100..200).collect();
        values.extend([1000, 1100]);
        let all = sketch(&values);
        let kept = all.without_those_apart(102, 1.5, 100);
        assert_eq!(kept.count(), 100);
        assert!(kept.max() < 205);
        assert_eq!(all.without_those_apart(102, 1.5, 900).count(), 102);
        let many = sketch(&[1, 1, 1, 1, 1000]);
        assert_eq!(many.without_those_apart(5, 1.5, 10).count(), 5, "a fifth");
        let rare = sketch(&[1000]);
        assert_eq!(rare.without_those_apart(100, 1.5, 10).count(), 0);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_one_percent_also_after_merging_and_in_a_file(
            a in prop::collection::vec(0..u64::MAX / 8, 1..50),
            b in prop::collection::vec(0..10_000u64, 0..50),
            share in 0.0..1.0f64,
        ) {
            let mut merged = sketch(&a);
            merged.merge(&sketch(&b));
            let mut all = [a, b].concat();
            all.sort_unstable();
            let rank = ((share * all.len() as f64).ceil() as usize).max(1);
            let exact = all[rank - 1] as f64;
            let told = merged.quantile(share, all.len() as u64) as f64;
            prop_assert!((told - exact).abs() <= 0.01 * exact + 1.0, "{} {}", told, exact);
            let json = serde_json::to_string(&merged).expect("written");
            let read: Sketch = serde_json::from_str(&json).expect("read");
            prop_assert_eq!(serde_json::to_string(&read).expect("written"), json);
        }
    }
}
