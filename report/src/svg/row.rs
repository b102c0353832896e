//! Packs blocks of bars with their labels into rows so that nothing overlaps.

use std::collections::BTreeMap;

/// From and to in pixels.
pub(super) type Extent = (f64, f64);

/// What a bar with its label takes of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) row: usize,
    pub(super) extent: Extent,
}

/// Rows, each with the extents taken in it.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<BTreeMap<i64, i64>>);

impl Rows {
    /// Takes, from row `least` on, the first rows where all of `block` is free; gives its first row.
    pub(super) fn take(&mut self, least: usize, block: &[Taken]) -> usize {
        let mut first = least;
        while !block.iter().all(|taken| self.is_free(first, taken)) {
            first += 1;
        }
        for taken in block {
            self.insert(first + taken.row, taken.extent);
        }
        first
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Extents in a row are disjoint, so only the last that begins before ours ends can reach into it.
    fn is_free(&self, first: usize, taken: &Taken) -> bool {
        let (from, to) = (tenths(taken.extent.0), tenths(taken.extent.1));
        self.0.get(first + taken.row).is_none_or(|row| {
            let before = row.range(..to).next_back();
            before.is_none_or(|(_, end)| *end <= from)
        })
    }

    /// An extent too thin to be drawn takes nothing.
    fn insert(&mut self, row: usize, (from, to): Extent) {
        if self.0.len() <= row {
            self.0.resize_with(row + 1, BTreeMap::new);
        }
        let (from, to) = (tenths(from), tenths(to));
        if from < to {
            self.0[row].insert(from, to);
        }
    }
}

/// Whole tenths of a pixel, as they are drawn.
fn tenths(pixels: f64) -> i64 {
    (pixels * 10.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(row: usize, from: f64, to: f64) -> Taken {
        let extent = (from, to);
        Taken { row, extent }
    }

    #[test]
    fn what_overlaps_goes_one_row_down() {
        let mut rows = Rows::default();
        let mut take = |least, from, to| rows.take(least, &[taken(0, from, to)]);
        assert_eq!(take(0, 0.0, 100.0), 0);
        assert_eq!(take(0, 99.0, 120.0), 1, "it overlaps");
        assert_eq!(take(0, 100.0, 120.0), 0, "touching is allowed");
        assert_eq!(take(2, 500.0, 510.0), 2, "not above the least row");
        assert_eq!(take(0, 500.0, 510.0), 0);
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn a_block_stays_together() {
        let mut rows = Rows::default();
        rows.take(0, &[taken(1, 0.0, 50.0)]);
        let block = [taken(0, 0.0, 90.0), taken(1, 10.0, 40.0)];
        assert_eq!(rows.take(0, &block), 2, "row 0 is free, row 1 is not");
    }
}
