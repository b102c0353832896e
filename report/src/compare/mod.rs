//! Two traces side by side: a sentence, and a table of what differs.

mod line;
mod sentence;
mod table;

use tierscope_analyzer::{Cell, Comparison, Tag};

pub(crate) use line::{Line, lines};
pub use sentence::sentence;

use crate::TreeOptions;
use crate::duration::human;

/// Which two traces these are, in words: `request 4bf9…`, `median of 4,812 requests`.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// The first.
    pub a: String,
    /// The second.
    pub b: String,
}

/// The comparison as text: both traces, the sentence, a table of aligned rows, the sum. Every line ends
/// with `\n`.
///
/// Rows under which nothing differs are folded into the row above; what is noise is grey.
pub fn render_comparison(
    comparison: &Comparison<'_>,
    sides: &Sides,
    options: &TreeOptions,
) -> String {
    let text = table::draw(comparison, sides, options);
    match options.unicode {
        true => text,
        false => crate::tree::to_ascii(&text),
    }
}

/// `+201 ms`, `−3.20 µs`, `0 ns`.
pub(crate) fn signed(nanos: i64) -> String {
    let sign = match nanos {
        0 => "",
        1.. => "+",
        _ => "−",
    };
    format!("{sign}{}", human(nanos.unsigned_abs()))
}

/// The share of the whole difference, in percent; nothing under half a percent, or where there is none.
pub(crate) fn share(part: i64, whole: i64) -> String {
    let percent = 100.0 * part as f64 / whole as f64;
    match whole != 0 && percent.abs() >= 0.5 {
        true => format!("{percent:.0} %").replace('-', "−"),
        false => String::new(),
    }
}

/// Name with the number of calls, and a mark where rows are folded into it: `db query SELECT orders
/// ×2 → ×15 ▸`.
pub(crate) fn name(line: &Line<'_>) -> String {
    let count = |cell: &Option<Cell>| cell.as_ref().map_or(0, |cell| cell.count);
    let times = match (count(&line.a), count(&line.b)) {
        (0 | 1, 0 | 1) => String::new(),
        (a, b) if a == b || a == 0 || b == 0 => format!(" ×{}", a.max(b)),
        (a, b) => format!(" ×{a} → ×{b}"),
    };
    let folded = if line.folded { " ▸" } else { "" };
    format!("{}{times}{folded}", line.name)
}

/// Whether a difference makes it worse; where only rows under it have one, whether there is more of it.
pub(crate) fn is_worse(line: &Line<'_>) -> bool {
    let is_more = matches!(line.tag, Tag::Added | Tag::MoreCalls);
    line.delta_ns > 0 || line.delta_ns == 0 && is_more
}

/// What a row's own time differs by; `0` where it has none, as what only passes its time on to others.
pub(crate) fn difference(line: &Line<'_>) -> String {
    match line.delta_ns {
        0 => "0".to_owned(),
        nanos => signed(nanos),
    }
}

/// Where a row's own time normally lies: `1.20 to 5.00 ms`; `–` where that is not known.
pub(crate) fn normal(line: &Line<'_>) -> String {
    let Some(normal) = line.normal else {
        return "–".to_owned();
    };
    if normal.to_ns == 0 {
        return "none".to_owned();
    }
    let (from, to) = (human(normal.from_ns), human(normal.to_ns));
    match (from.split_once(' '), to.split_once(' ')) {
        _ if from == to => to,
        (Some((number, unit)), Some((_, other))) if unit == other => format!("{number} to {to}"),
        _ => format!("{from} to {to}"),
    }
}

/// Durations of both sides.
pub(crate) fn durations(line: &Line<'_>) -> [String; 2] {
    [&line.a, &line.b].map(|cell| {
        let duration = cell.as_ref().map(|cell| human(cell.duration_ns));
        duration.unwrap_or_else(|| "–".to_owned())
    })
}
