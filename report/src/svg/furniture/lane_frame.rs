//! A lane's ground, its name and its tier's colour.

use crate::svg::lane::{Lane, LaneKind};
use crate::svg::palette::{self, ERROR, GRID, INK, MUTED, TRANSFER};
use crate::svg::xml::{Font, Xml};
use crate::svg::{MARGIN, WIDTH};
use crate::text::visible_clip;
use crate::tier::Tiers;

/// Draws the lane at its place from the top, over `(place, top, height)`.
pub(in crate::svg) fn draw(
    xml: &mut Xml,
    lane: &Lane,
    tiers: &Tiers<'_>,
    (place, top, height): (usize, f64, f64),
) {
    let right = WIDTH - MARGIN / 2.0;
    let ground = if place.is_multiple_of(2) {
        "#f8fafc"
    } else {
        "#ffffff"
    };
    xml.rect((MARGIN, top, right - MARGIN, height), &[("fill", ground)]);
    xml.line((MARGIN, top + height), (right, top + height), GRID);
    let (colour, name, font) = match &lane.kind {
        LaneKind::Tier(service) => {
            let colour = palette::strong(tiers.index(service));
            (
                colour,
                visible_clip(service, 15),
                Font::new(13.0, INK).bold(),
            )
        }
        LaneKind::Hop(hop) => (TRANSFER, visible_clip(hop, 20), Font::new(11.0, MUTED)),
        LaneKind::Orphans => (ERROR, "orphans".to_owned(), Font::new(13.0, ERROR).bold()),
    };
    xml.rect((MARGIN, top + 2.0, 4.0, height - 4.0), &[("fill", colour)]);
    xml.text((MARGIN + 12.0, top + 19.0), font, &name);
}
