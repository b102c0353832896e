//! A bar with the bars below it, which stay together when they are packed.

use super::WIDTH;
use super::row::{Extent, Rows, Taken};
use super::scale::LEFT;
use crate::text::{clip, width};

/// Size of a label's letters, in pixels.
pub(super) const LABEL: f64 = 11.0;
/// A column of text is at most about so wide, in parts of the size: DejaVu Sans, the widest of the fonts.
const ASPECT: f64 = 0.62;
/// Between a bar's edge and its label.
pub(super) const NEAR: f64 = 5.0;
/// Between a label beside its bar and the next bar.
const SPACE: f64 = 8.0;
/// A bar is at least so wide, to be seen.
const THINNEST: f64 = 1.5;

/// What a bar stands for, by index into the trace's spans.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    Span(usize),
    /// Drawn as a strip in its parent's bar: the one exchange of a query.
    Strip(usize),
    /// Time of a span that none of its children covers: its length in nanoseconds.
    Gap(usize, u64),
    /// A span's event, by its place.
    Moment(usize, usize),
}

/// Where a label stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Inside,
    Right,
    Left,
    Nowhere,
}

/// A bar in its row.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) item: Item,
    pub(super) row: usize,
    pub(super) x: Extent,
    /// Start, from the picture's left edge, in nanoseconds.
    pub(super) offset: u64,
    pub(super) label: String,
    pub(super) side: Side,
}

/// Bars with what they take, rows counted from the block's first.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) bars: Vec<Bar>,
    taken: Vec<Taken>,
    rows: Rows,
}

impl Block {
    /// A block of one bar.
    pub(super) fn new(item: Item, offset: u64, x: Extent, label: String) -> Block {
        let drawn = (x.0, x.1.max(x.0 + THINNEST));
        let (side, label) = place_label(drawn, label);
        let beside = text_width(&label) + NEAR + SPACE;
        let extent = match side {
            Side::Inside => drawn,
            Side::Right => (drawn.0, drawn.1 + beside),
            Side::Left => (drawn.0 - beside, drawn.1),
            Side::Nowhere => x,
        };
        let taken = Taken { row: 0, extent };
        let mut block = Block::default();
        block.rows.take(0, &[taken]);
        block.taken.push(taken);
        block.bars.push(Bar {
            item,
            row: 0,
            x: drawn,
            offset,
            label,
            side,
        });
        block
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Takes `other` in, from row `least` on where there is room; a strip into the first row.
    pub(super) fn take(&mut self, least: usize, other: Block) {
        if other.is_strip() {
            self.bars.extend(other.bars);
            return;
        }
        let first = self.rows.take(least, &other.taken);
        for mut bar in other.bars {
            bar.row += first;
            self.bars.push(bar);
        }
        for mut taken in other.taken {
            taken.row += first;
            self.taken.push(taken);
        }
    }

    fn is_strip(&self) -> bool {
        matches!(
            self.bars[..],
            [
                Bar {
                    item: Item::Strip(_),
                    ..
                },
                ..
            ]
        )
    }
}

/// Inside where it fits, else right, else left, else cut on the side that has most room.
fn place_label(x: Extent, label: String) -> (Side, String) {
    let wide = text_width(&label);
    let rooms = [
        (Side::Inside, x.1 - x.0 - 2.0 * NEAR),
        (Side::Right, WIDTH - 2.0 * NEAR - x.1),
        (Side::Left, x.0 - NEAR - LEFT),
    ];
    if label.is_empty() {
        return (Side::Nowhere, label);
    }
    let fits = rooms.into_iter().find(|(_, room)| wide <= *room);
    let most = rooms.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    match (fits, most) {
        (Some((side, _)), _) => (side, label),
        (None, Some((side, room))) => (side, clip(&label, (room / (LABEL * ASPECT)) as usize)),
        (None, None) => (Side::Nowhere, label),
    }
}

/// At most so many pixels wide.
fn text_width(text: &str) -> f64 {
    width(text) as f64 * LABEL * ASPECT
}
