//! Why a request took as long as it did: its difference from the typical one, to the nanosecond.

use std::collections::BTreeMap;

use tierscope_model::Nanos;

use crate::finding::Delta;
use crate::names::{Names, PlaceId};
use crate::profile::{Key, Profile};
use crate::segment::State;
use crate::typical::Typical;

/// Deltas that are told one by one.
const SHOWN: usize = 12;

/// The difference by key: they sum to the request's duration less the typical one's.
pub(crate) fn deltas(profile: &Profile, typical: &Typical) -> Vec<(Key, i64)> {
    let mut deltas = Vec::with_capacity(profile.keys.len());
    let mut mine = profile.keys.iter().peekable();
    let mut theirs = typical.keys.iter().peekable();
    loop {
        let next = match (mine.peek(), theirs.peek()) {
            (Some((a, _)), Some((b, _))) => (*a).min(*b),
            (Some((key, _)), None) | (None, Some((key, _))) => *key,
            (None, None) => return deltas,
        };
        let value = mine.next_if(|(key, _)| *key == next).map_or(0, |(_, v)| *v);
        let normal = theirs
            .next_if(|(key, _)| *key == next)
            .map_or(0, |(_, v)| *v);
        deltas.push((next, value as i64 - normal as i64));
    }
}

/// The largest deltas in words, one for what went on at a place; what is left is the last one, so that they still
/// sum up.
pub(crate) fn told(deltas: Vec<(Key, i64)>, names: &Names) -> Vec<Delta> {
    let mut sums: BTreeMap<(PlaceId, State), i64> = BTreeMap::new();
    for ((place, state, _), delta) in deltas {
        *sums.entry((place, state)).or_default() += delta;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(key, delta)| (std::cmp::Reverse(delta.unsigned_abs()), *key));
    let rest: i64 = sums.iter().skip(SHOWN).map(|(_, delta)| delta).sum();
    let shown = sums
        .iter()
        .take(SHOWN)
        .map(|((place, state), delta)| Delta {
            place: names.path(*place),
            state: state.name().to_owned(),
            delta_ns: *delta,
        });
    let rest = Delta {
        place: "(all others)".to_owned(),
        state: String::new(),
        delta_ns: rest,
    };
    shown.chain([rest]).collect()
}

/// How an amount of repeated calls differs: more of them, each slower, and both together. The three sum
/// to the whole difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// (n − n̄)·m̄: more calls.
    pub count_ns: i64,
    /// n̄·(m − m̄): each slower.
    pub each_ns: i64,
    /// What is left: the calls that are more were slower, too.
    pub both_ns: i64,
}

impl Repeated {
    /// `n` calls took `total` nanoseconds; normally `normal_n` calls over `of` requests take
    /// `normal_total`. Where there are normally none, all is put down to their number.
    pub fn split(n: u64, total: Nanos, normal_n: u64, normal_total: Nanos, of: u64) -> Repeated {
        let of = of.max(1) as f64;
        let (usual_n, usual_total) = (normal_n as f64 / of, normal_total as f64 / of);
        let whole = total as i64 - usual_total.round() as i64;
        if n == 0 || normal_n == 0 {
            return Repeated {
                count_ns: whole,
                each_ns: 0,
                both_ns: 0,
            };
        }
        let (each, usual_each) = (total as f64 / n as f64, usual_total / usual_n);
        let count_ns = ((n as f64 - usual_n) * usual_each).round() as i64;
        let each_ns = (usual_n * (each - usual_each)).round() as i64;
        Repeated {
            count_ns,
            each_ns,
            both_ns: whole - count_ns - each_ns,
        }
    }
}
