//! N+1: one statement, or a pattern of a few, run more often than the endpoint ever does.

use std::collections::HashMap;

use tierscope_model::Nanos;

use super::Case;
use crate::delta::Repeated;
use crate::finding::{Finding, Kind};
use crate::limit::Limit;
use crate::names::{CauseId, PlaceId};
use crate::profile::find;
use crate::words::{count, ms, statement};

/// Statements that one pattern may have.
const PATTERN: usize = 8;
/// The least time of all calls that is a finding; and 1/20 of the request.
pub(crate) const FLOOR: Nanos = 5_000_000;

/// A call that took over so many times the median of its like was not slow because there were many.
const APART: Nanos = 2;

/// What was run again and again.
#[derive(Default)]
pub(super) struct Repeats {
    /// A finding per pattern.
    pub(super) findings: Vec<Finding>,
    /// The places that they are of.
    pub(super) places: Vec<PlaceId>,
    /// Time of each cause that the extra calls account for: it is no finding of its own.
    pub(super) explained: HashMap<CauseId, Nanos>,
}

pub(super) fn findings(case: &Case<'_>) -> Repeats {
    let counts = case.profile.counts.iter();
    let mut places: Vec<(PlaceId, u64)> = counts
        .filter(|(place, n)| is_query(case, *place) && *n > limit(case, *place).limit)
        .copied()
        .collect();
    let mut repeats = Repeats::default();
    while let Some((first, n)) = places.first().copied() {
        let (pattern, rest) = places.into_iter().partition::<Vec<_>, _>(|(place, other)| {
            case.names.at(*place).parent == case.names.at(first).parent && other.abs_diff(n) <= 1
        });
        places = rest;
        let pattern: Vec<PlaceId> = pattern.into_iter().map(|(p, _)| p).take(PATTERN).collect();
        if let Some(finding) = finding(case, &pattern) {
            repeats.findings.push(finding);
            for place in &pattern {
                repeats.explain(case, *place);
            }
            repeats.places.extend(pattern);
        }
    }
    repeats
}

impl Repeats {
    /// What a cause has of its time elsewhere than in extra calls.
    pub(super) fn leave(&self, cause: CauseId, time: Nanos) -> Nanos {
        let explained = self.explained.get(&cause).copied().unwrap_or(0);
        time.saturating_sub(explained)
    }

    fn explain(&mut self, case: &Case<'_>, place: PlaceId) {
        let most = APART * median(case, place);
        let (n, usual) = (case.profile.count_at(place), usual(case, place));
        let extra = (n as f64 - usual).max(0.0) / n.max(1) as f64;
        let pieces = case.profile.pieces.iter().filter(|piece| {
            let call = piece.call.map(|call| &case.profile.calls[call]);
            call.is_some_and(|call| call.place == place && call.critical <= most)
        });
        for piece in pieces {
            let nanos = (piece.segment.duration() as f64 * extra) as Nanos;
            *self.explained.entry(piece.cause).or_default() += nanos;
        }
    }
}

/// The median of a place's calls, of their time on the critical path.
fn median(case: &Case<'_>, place: PlaceId) -> Nanos {
    let calls = case.profile.calls.iter().filter(|call| call.place == place);
    let mut times: Vec<Nanos> = calls.map(|call| call.critical).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
}

/// The time of a place's calls, where each that lies apart counts as much as it may have.
fn total(case: &Case<'_>, place: PlaceId) -> Nanos {
    let most = APART * median(case, place);
    let calls = case.profile.calls.iter().filter(|call| call.place == place);
    calls.map(|call| call.critical.min(most)).sum()
}

/// How many calls there are normally.
fn usual(case: &Case<'_>, place: PlaceId) -> f64 {
    let typical = &case.normal.typical;
    find(&typical.counts, &place) as f64 / typical.n.max(1) as f64
}

fn is_query(case: &Case<'_>, place: PlaceId) -> bool {
    !case.names.detail(place).is_empty()
}

/// What is normal of the number of calls at a place; where there never was one, five are too many.
fn limit(case: &Case<'_>, place: PlaceId) -> Limit {
    let never = Limit {
        n: case.normal.n,
        limit: 4,
        ..Limit::default()
    };
    case.normal.counts.get(&place).copied().unwrap_or(never)
}

fn finding(case: &Case<'_>, pattern: &[PlaceId]) -> Option<Finding> {
    let floor = FLOOR.max(case.profile.duration / 20);
    if pattern
        .iter()
        .map(|place| total(case, *place))
        .sum::<Nanos>()
        < floor
    {
        return None;
    }
    let dearest = *pattern.iter().max_by_key(|place| total(case, **place))?;
    let n = case.profile.count_at(dearest);
    let extra: i64 = pattern.iter().map(|place| extra(case, *place)).sum();
    let cost = extra.max(0).unsigned_abs();
    let normal = limit(case, dearest);
    let call = case.profile.call_at(dearest)?;
    Some(Finding {
        kind: Kind::NPlusOne,
        behind: None,
        of: case.names.detail(dearest).to_string(),
        span: Some(case.trace.spans[call.span].span_id),
        cost_ns: cost,
        value: n,
        normal,
        floor_ns: floor,
        p: normal.p(case.endpoint.counts.get(&dearest), n),
        sentence: sentence(case, dearest, pattern.len(), (n, &normal), cost),
        threshold: format!(
            "more than {} calls (the greatest of p99.9, 4 and nearly twice the median), {} or more in all",
            normal.limit,
            ms(floor)
        ),
    })
}

/// What the extra calls cost, at what each took here.
fn extra(case: &Case<'_>, place: PlaceId) -> i64 {
    let typical = &case.normal.typical;
    let normal_n = find(&typical.counts, &place);
    let under = typical
        .keys
        .iter()
        .filter(|((at, _, _), _)| is_under(case, *at, place));
    let mean: Nanos = under.map(|(_, nanos)| nanos).sum();
    let n = case.profile.count_at(place);
    let total = total(case, place);
    let split = Repeated::split(n, total, normal_n, mean * typical.n, typical.n);
    split.count_ns + split.both_ns
}

fn is_under(case: &Case<'_>, place: PlaceId, top: PlaceId) -> bool {
    let mut at = Some(place);
    while let Some(place) = at {
        if place == top {
            return true;
        }
        at = case.names.at(place).parent;
    }
    false
}

fn sentence(
    case: &Case<'_>,
    place: PlaceId,
    statements: usize,
    (n, normal): (u64, &Limit),
    cost: Nanos,
) -> String {
    let text = statement(case.names.detail(place));
    let others = match statements {
        1 => String::new(),
        more => format!(
            " (and {} as often)",
            count(more as u64 - 1, "more statement")
        ),
    };
    let usual = match (normal.p50, normal.top) {
        (_, 0) => "normally none".to_owned(),
        (low, high) if low == high => format!("normally {low}"),
        (low, high) => format!("normally {low}–{high}"),
    };
    let extra = n.saturating_sub(normal.p50);
    let excess = case
        .profile
        .duration
        .saturating_sub(case.normal.typical.duration);
    let share = (cost * 100).checked_div(excess).unwrap_or(100).min(100);
    format!(
        "{n} queries `{text}`{others} under {}; {usual}. N+1: {extra} extra calls cost {} ({share} % of the excess).",
        case.trace.endpoint,
        ms(cost)
    )
}
