//! What became of a row, and whether that means anything.

use serde::Serialize;
use tierscope_model::Nanos;

use super::{Cell, Row, Usual};

/// Without a baseline a difference under this means nothing, in nanoseconds.
const SMALL: u64 = 20_000;

/// What became of a row from the first trace to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// As before, or nearly.
    Same,
    /// Takes longer on the critical path.
    Slower,
    /// Takes less.
    Faster,
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
    /// Happens more often.
    MoreCalls,
    /// Happens less often.
    FewerCalls,
}

impl Tag {
    /// In words; nothing for what is the same.
    pub fn name(self) -> &'static str {
        match self {
            Tag::Same => "",
            Tag::Slower => "slower",
            Tag::Faster => "faster",
            Tag::Added => "added",
            Tag::Removed => "removed",
            Tag::MoreCalls => "more calls",
            Tag::FewerCalls => "fewer calls",
        }
    }
}

/// Sets normal ranges, noise and tags of rows and all under them.
pub(super) fn judge(rows: &mut [Row<'_>], total: i64, usual: Option<&Usual>) {
    // A hundredth of the whole difference explains nothing.
    let small = (total.unsigned_abs() / 100).max(SMALL);
    for row in rows {
        (row.normal, row.whole_normal) = usual.and_then(|usual| usual.normal(row.path)).unzip();
        let way = row.way.and_then(|way| usual?.normal(way));
        row.way_normal = way.map(|(_, whole)| whole);
        row.noise = is_noise(row, small);
        row.tag = tag(row);
        // What comes, goes or repeats is told if it matters with all under it.
        let is_structure = !matches!(row.tag, Tag::Same | Tag::Slower | Tag::Faster);
        row.noise &= !is_structure || row.whole_delta_ns().unsigned_abs() < small;
        judge(&mut row.children, total, usual);
    }
}

/// A difference between two usual times is noise, and so is a small one.
fn is_noise(row: &Row<'_>, small: Nanos) -> bool {
    let own = |cell: &Option<Cell>| cell.as_ref().map_or(0, |cell| cell.critical_ns);
    let as_usual = row
        .normal
        .is_some_and(|normal| normal.holds(own(&row.a)) && normal.holds(own(&row.b)));
    as_usual || row.delta_ns.unsigned_abs() < small
}

fn tag(row: &Row<'_>) -> Tag {
    match (&row.a, &row.b) {
        (None, _) => Tag::Added,
        (_, None) => Tag::Removed,
        (Some(a), Some(b)) if a.count < b.count => Tag::MoreCalls,
        (Some(a), Some(b)) if a.count > b.count => Tag::FewerCalls,
        _ if row.noise => Tag::Same,
        _ if row.delta_ns > 0 => Tag::Slower,
        _ => Tag::Faster,
    }
}
