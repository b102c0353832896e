//! Unseen shapes: calls that this endpoint's requests do not make.

use tierscope_model::Nanos;

use super::Case;
use crate::finding::{Finding, Kind};
use crate::limit::Limit;
use crate::names::{CauseId, PlaceId};
use crate::profile::find;
use crate::words::{grouped, ms, statement};

/// The least time of the added calls that is a finding; and 1/20 of the request.
pub(crate) const FLOOR: Nanos = 5_000_000;
/// Calls named in a sentence.
const NAMED: usize = 3;

/// `explained`: places whose calls are findings already.
pub(super) fn finding(
    case: &Case<'_>,
    elsewhere: &[CauseId],
    explained: &[PlaceId],
) -> Option<Finding> {
    if case.normal.has_shape(&case.profile.shape) {
        return None;
    }
    let usual = &case.normal.usual;
    let shape = case.profile.shape.iter();
    let added = shape.filter(|(place, n)| *n > find(usual, place) && !explained.contains(place));
    let added: Vec<PlaceId> = added.map(|(place, _)| *place).collect();
    let cost: Nanos = added.iter().map(|p| case.critical(*p, elsewhere)).sum();
    let floor = FLOOR
        .max(case.profile.duration / 20)
        .max(case.normal.duration.p50 / 10);
    let dearest = *added
        .iter()
        .max_by_key(|place| case.critical(**place, elsewhere))?;
    if cost < floor {
        return None;
    }
    let removed = usual
        .iter()
        .filter(|(place, _)| case.profile.count_at(*place) == 0);
    let removed: Vec<PlaceId> = removed.map(|(place, _)| *place).collect();
    let call = case.profile.call_at(dearest)?;
    Some(Finding {
        kind: Kind::UnseenShape,
        behind: None,
        of: named(case, dearest),
        span: Some(case.trace.spans[call.span].span_id),
        cost_ns: cost,
        value: cost,
        normal: Limit {
            n: case.normal.n,
            ..Limit::default()
        },
        floor_ns: floor,
        p: 1.0 / (case.normal.n + 1) as f64,
        sentence: sentence(case, &added, &removed, cost),
        threshold: format!(
            "calls of a kind or number not seen before, {} or more",
            ms(floor)
        ),
    })
}

fn named(case: &Case<'_>, place: PlaceId) -> String {
    let text = case.names.detail(place);
    match text.is_empty() {
        true => case.names.text(case.names.at(place).name).to_string(),
        false => text.to_string(),
    }
}

fn sentence(case: &Case<'_>, added: &[PlaceId], removed: &[PlaceId], cost: Nanos) -> String {
    let list = |places: &[PlaceId]| {
        let words = places.iter().take(NAMED).map(|place| {
            let n = case.profile.count_at(*place).max(1);
            let times = if n > 1 {
                format!("{n}× ")
            } else {
                String::new()
            };
            format!("{times}`{}`", statement(&named(case, *place)))
        });
        words.collect::<Vec<_>>().join(", ")
    };
    let gone = match removed {
        [] => String::new(),
        removed => format!("; not made: {}", list(removed)),
    };
    format!(
        "calls that {} usually does not make cost {}: {}{gone}; compared with {} requests.",
        case.trace.endpoint,
        ms(cost),
        list(added),
        grouped(case.normal.n)
    )
}
