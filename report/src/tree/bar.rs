//! Bars to scale, each at its place in time.

use super::node::{Look, Segment};
use crate::gap::Stretch;

/// The segments within `range`, drawn into `columns` cells; a short one still gets a cell.
pub(super) fn bar(segments: &[Segment], range: Stretch, columns: usize, unicode: bool) -> String {
    let mut cells = vec![' '; columns];
    for segment in segments {
        let (first, last) = cells_of(segment.time, range, columns);
        for cell in cells.iter_mut().take(last + 1).skip(first) {
            *cell = glyph(segment.look, unicode);
        }
    }
    cells.into_iter().collect()
}

/// First and last cell that a stretch touches for at least half a cell, at least one.
fn cells_of(time: Stretch, range: Stretch, columns: usize) -> (usize, usize) {
    let whole = range.1.since(range.0).max(1) as f64;
    let cell = |at: u64| at as f64 / whole * columns as f64;
    let first = (cell(time.0.since(range.0)).round() as usize).min(columns.saturating_sub(1));
    let end = (cell(time.1.since(range.0)).round() as usize).min(columns);
    (first, end.saturating_sub(1).max(first))
}

fn glyph(look: Look, unicode: bool) -> char {
    match (look, unicode) {
        (Look::Work | Look::Transfer, true) => '█',
        (Look::Send, true) => '▓',
        (Look::Queue, true) => '▒',
        (Look::Gap, true) => '░',
        (Look::Moment, true) => '◆',
        (Look::Work, false) => '#',
        (Look::Send, false) => '-',
        (Look::Transfer, false) => '=',
        (Look::Queue, false) => '~',
        (Look::Gap, false) => '.',
        (Look::Moment, false) => '*',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierscope_model::Timestamp;

    fn drawn(times: &[(u64, u64)]) -> String {
        let segments: Vec<Segment> = times
            .iter()
            .map(|(a, b)| Segment {
                time: (Timestamp(*a), Timestamp(*b)),
                look: Look::Work,
            })
            .collect();
        bar(&segments, (Timestamp(0), Timestamp(100)), 10, false)
    }

    #[test]
    fn bars_stand_to_scale_at_their_place() {
        assert_eq!(drawn(&[(0, 100)]), "##########");
        assert_eq!(drawn(&[(20, 50)]), "  ###     ");
        assert_eq!(drawn(&[(0, 10), (90, 100)]), "#        #");
        assert_eq!(drawn(&[(40, 40)]), "    #     ", "a short one is seen");
        assert_eq!(drawn(&[(100, 100)]), "         #", "the end is inside");
        assert_eq!(drawn(&[(150, 900)]), "         #", "outside is clamped");
    }
}
