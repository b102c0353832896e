//! Mean contributions over typical traces: those whose duration lies from p25 to p75.
//!
//! Medians do not add up, means do. Sums are kept by duration, in steps of an eighth of a doubling, so
//! that what is typical is known afterwards, and after merging, too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tierscope_model::Nanos;

use crate::names::{Adopted, CauseId, Names, PlaceId};
use crate::profile::{Key, Profile};

/// Sums over the traces of about one duration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    n: u64,
    duration: u64,
    #[serde(with = "pairs")]
    keys: BTreeMap<Key, u64>,
    #[serde(with = "pairs")]
    counts: BTreeMap<PlaceId, u64>,
}

/// Sums by duration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Durations(BTreeMap<u32, Bucket>);

/// The mean over the typical traces, in whole nanoseconds: the contributions sum to the duration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Typical {
    /// How many traces it is of.
    pub(crate) n: u64,
    pub(crate) duration: Nanos,
    /// Sorted by key.
    pub(crate) keys: Vec<(Key, Nanos)>,
    /// Calls at a place, summed over the `n` traces; sorted.
    pub(crate) counts: Vec<(PlaceId, u64)>,
}

impl Typical {
    /// Its time of a cause.
    pub(crate) fn of_cause(&self, cause: CauseId) -> Nanos {
        let alike = self.keys.iter().filter(|((_, _, of), _)| *of == cause);
        alike.map(|(_, nanos)| nanos).sum()
    }
}

impl Durations {
    pub(crate) fn insert(&mut self, profile: &Profile) {
        let bucket = self.0.entry(step(profile.duration)).or_default();
        bucket.n += 1;
        bucket.duration = bucket.duration.saturating_add(profile.duration);
        for (key, nanos) in &profile.keys {
            *bucket.keys.entry(*key).or_default() += nanos;
        }
        for (place, count) in &profile.counts {
            *bucket.counts.entry(*place).or_default() += count;
        }
    }

    pub(crate) fn merge(&mut self, other: &Durations, numbers: &Adopted) {
        for (step, theirs) in &other.0 {
            let ours = self.0.entry(*step).or_default();
            ours.n += theirs.n;
            ours.duration = ours.duration.saturating_add(theirs.duration);
            for ((place, state, cause), sum) in &theirs.keys {
                let key = (numbers.place(*place), *state, numbers.cause(*cause));
                *ours.keys.entry(key).or_default() += sum;
            }
            for (place, sum) in &theirs.counts {
                *ours.counts.entry(numbers.place(*place)).or_default() += sum;
            }
        }
    }

    /// The mean over the middle half.
    pub(crate) fn typical(&self) -> Typical {
        let mut all = Bucket::default();
        for bucket in self.middle() {
            all.n += bucket.n;
            all.duration = all.duration.saturating_add(bucket.duration);
            for (key, sum) in &bucket.keys {
                *all.keys.entry(*key).or_default() += sum;
            }
            for (place, sum) in &bucket.counts {
                *all.counts.entry(*place).or_default() += sum;
            }
        }
        Typical {
            n: all.n,
            duration: all.duration.checked_div(all.n).unwrap_or(0),
            keys: means(&all),
            counts: all.counts.into_iter().collect(),
        }
    }

    /// Whether every number in it stands for something.
    pub(crate) fn is_sound(&self, names: &Names) -> bool {
        self.0.values().all(|bucket| {
            let mut keys = bucket.keys.keys();
            let mut places = bucket.counts.keys();
            keys.all(|(place, _, cause)| names.has_place(*place) && names.has_cause(*cause))
                && places.all(|place| names.has_place(*place))
        })
    }

    /// From the step that holds p25 to the one that holds p75.
    fn middle(&self) -> impl Iterator<Item = &Bucket> {
        let total: u64 = self.0.values().map(|bucket| bucket.n).sum();
        let (low, high) = (total.div_ceil(4), (3 * total).div_ceil(4));
        let mut seen = 0;
        self.0.values().filter(move |bucket| {
            let before = seen;
            seen += bucket.n;
            seen >= low && before < high
        })
    }
}

/// Means in whole nanoseconds that sum to the mean duration: what rounding leaves goes to the largest
/// remainders.
fn means(all: &Bucket) -> Vec<(Key, Nanos)> {
    let Some(duration) = all.duration.checked_div(all.n) else {
        return Vec::new();
    };
    let mut means: Vec<(Key, Nanos)> = all.keys.iter().map(|(k, sum)| (*k, sum / all.n)).collect();
    let told: Nanos = means.iter().map(|(_, mean)| mean).sum();
    let mut remainders: Vec<_> = all
        .keys
        .values()
        .map(|sum| sum % all.n)
        .enumerate()
        .collect();
    remainders.sort_by_key(|(at, rest)| (std::cmp::Reverse(*rest), *at));
    let left = duration.saturating_sub(told);
    for (at, _) in remainders.into_iter().take(left as usize) {
        means[at].1 += 1;
    }
    means
}

/// An eighth of a doubling.
fn step(duration: Nanos) -> u32 {
    if duration < 8 {
        return duration as u32;
    }
    let power = duration.ilog2();
    let eighth = (duration >> (power - 3)) & 7;
    power * 8 + eighth as u32
}

/// Maps with keys that JSON has no names for: lists of pairs.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(input: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(input)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::State;

    fn profile(parts: &[(u32, u64)]) -> Profile {
        let mut keys: Vec<(Key, u64)> = Vec::new();
        for (place, nanos) in parts {
            match keys.iter_mut().find(|(key, _)| key.0 == *place) {
                Some(known) => known.1 += nanos,
                None => keys.push(((*place, State::OnCpu, 0), *nanos)),
            }
        }
        keys.sort_unstable();
        Profile {
            duration: keys.iter().map(|(_, nanos)| nanos).sum(),
            keys,
            ..Profile::default()
        }
    }

    #[test]
    fn the_slow_and_the_fast_are_not_typical() {
        let mut durations = Durations::default();
        for duration in [1, 1_000, 1_010, 1_020, 1_000_000] {
            durations.insert(&profile(&[(0, duration)]));
        }
        let typical = durations.typical();
        assert_eq!((typical.n, typical.duration), (3, 1_010));
    }

    proptest! {
        #[test]
        fn contributions_sum_to_the_duration(
            traces in prop::collection::vec(
                prop::collection::vec((0..6u32, 0..2_000_000u64), 1..8), 1..60),
        ) {
            let mut durations = Durations::default();
            for parts in &traces {
                durations.insert(&profile(parts));
            }
            let typical = durations.typical();
            let sum: u64 = typical.keys.iter().map(|(_, nanos)| nanos).sum();
            prop_assert_eq!(sum, typical.duration);
            prop_assert!(typical.n * 2 >= traces.len() as u64);
        }
    }
}
