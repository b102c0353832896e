//! The time axis and its grid.

use crate::svg::TOP;
use crate::svg::palette::{GRID, MUTED};
use crate::svg::scale::Scale;
use crate::svg::xml::{Font, Xml};

/// Tick texts above the lanes, grid lines down to `bottom`.
pub(in crate::svg) fn draw(xml: &mut Xml, scale: &Scale, bottom: f64) {
    let font = Font::new(11.0, MUTED).anchor("middle");
    for (x, text) in scale.ticks() {
        xml.line((x, TOP - 6.0), (x, bottom), GRID);
        xml.text((x, TOP - 12.0), font, &text);
    }
}
