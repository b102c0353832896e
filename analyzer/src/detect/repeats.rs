//! N+1: one statement, or a pattern of a few, run more often than the endpoint ever does.

use tierscope_model::Nanos;

use super::Case;
use crate::delta::Repeated;
use crate::finding::{Finding, Kind};
use crate::limit::Limit;
use crate::names::{CauseId, PlaceId};
use crate::profile::find;
use crate::words::{ms, statement};

/// Statements that one pattern may have.
const PATTERN: usize = 8;
/// The least time of all calls that is a finding; and 1/20 of the request.
pub(crate) const FLOOR: Nanos = 5_000_000;

/// A finding per pattern, and the places that they are of.
pub(super) fn findings(case: &Case<'_>, elsewhere: &[CauseId]) -> (Vec<PlaceId>, Vec<Finding>) {
    let counts = case.profile.counts.iter();
    let mut places: Vec<(PlaceId, u64)> = counts
        .filter(|(place, n)| is_query(case, *place) && *n > limit(case, *place).limit)
        .copied()
        .collect();
    let mut taken = Vec::new();
    let mut findings = Vec::new();
    while let Some((first, n)) = places.first().copied() {
        let (pattern, rest) = places.into_iter().partition::<Vec<_>, _>(|(place, other)| {
            case.names.at(*place).parent == case.names.at(first).parent && other.abs_diff(n) <= 1
        });
        places = rest;
        let pattern: Vec<PlaceId> = pattern.into_iter().map(|(p, _)| p).take(PATTERN).collect();
        if let Some(finding) = finding(case, &pattern, elsewhere) {
            findings.push(finding);
            taken.extend(pattern);
        }
    }
    (taken, findings)
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

fn finding(case: &Case<'_>, pattern: &[PlaceId], elsewhere: &[CauseId]) -> Option<Finding> {
    let floor = FLOOR.max(case.profile.duration / 20);
    let total: Nanos = pattern
        .iter()
        .map(|place| case.critical(*place, elsewhere))
        .sum();
    if total < floor {
        return None;
    }
    let dearest = *pattern
        .iter()
        .max_by_key(|place| case.critical(**place, elsewhere))?;
    let n = case.profile.count_at(dearest);
    let split: Vec<Repeated> = pattern.iter().map(|p| split(case, *p, elsewhere)).collect();
    let more: i64 = split.iter().map(|part| part.count_ns).sum();
    let cost = more.max(0).unsigned_abs();
    let normal = limit(case, dearest);
    let call = case.profile.call_at(dearest)?;
    Some(Finding {
        kind: Kind::NPlusOne,
        of: case.names.detail(dearest).to_string(),
        span: Some(case.trace.spans[call.span].span_id),
        cost_ns: cost,
        value: n,
        normal,
        floor_ns: floor,
        p: normal.p(case.endpoint.counts.get(&dearest), n),
        sentence: sentence(case, dearest, pattern.len(), (n, &normal), cost),
        threshold: format!(
            "more than {} calls (p99.9, 4, or nearly twice the median), {} or more in all",
            normal.limit,
            ms(floor)
        ),
    })
}

fn split(case: &Case<'_>, place: PlaceId, elsewhere: &[CauseId]) -> Repeated {
    let typical = &case.normal.typical;
    let normal_n = find(&typical.counts, &place);
    let under = typical
        .keys
        .iter()
        .filter(|((at, _, _), _)| is_under(case, *at, place));
    let mean: Nanos = under.map(|(_, nanos)| nanos).sum();
    let total = case.critical(place, elsewhere);
    let n = case.profile.count_at(place);
    Repeated::split(n, total, normal_n, mean * typical.n, typical.n)
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
        more => format!(" (and {} more statements as often)", more - 1),
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
