//! What the colours mean.

use tierscope_model::{Doing, Trace};

use crate::label;
use crate::svg::block::Item;
use crate::svg::lane::{Lane, LaneKind};
use crate::svg::palette::{self, ERROR, GAP, MUTED, QUEUE, SEND, TRANSFER};
use crate::svg::xml::{Attrs, Font, Xml};
use crate::svg::{MARGIN, WIDTH};
use crate::text::{visible_clip, width};
use crate::threads;
use crate::tier::Tiers;

const Y: f64 = 76.0;
const FONT: Font = Font::new(11.0, MUTED);

/// A swatch and a name for each thing that is in the picture.
pub(in crate::svg) fn draw(xml: &mut Xml, trace: &Trace, tiers: &Tiers<'_>, lanes: &[Lane]) {
    let mut x = MARGIN;
    let mut entry = |fill: &str, more: Attrs<'_>, name: &str| {
        let wide = 18.0 + width(name) as f64 * 6.5 + 12.0;
        if x + wide > WIDTH {
            return;
        }
        let look = [&[("rx", "2"), ("fill", fill)][..], more].concat();
        xml.rect((x, Y, 12.0, 12.0), &look);
        xml.text((x + 18.0, Y + 10.0), FONT, name);
        x += wide;
    };
    for (tier, name) in tiers.names().iter().enumerate() {
        entry(palette::strong(tier), &[], &visible_clip(name, 20));
    }
    let any = |what: fn(&Lane) -> bool| lanes.iter().any(what);
    if any(|lane| matches!(lane.kind, LaneKind::Hop(_))) {
        if trace.spans.iter().any(label::is_send) {
            entry(SEND, &[], "send");
            entry(TRANSFER, &[], "wire (↓ request, ↑ response)");
        } else {
            entry(TRANSFER, &[], "transfer (↓ request, ↑ response)");
        }
        entry(QUEUE, &[("stroke", "#b45309")], "receive queue");
    }
    if trace.spans.iter().any(|span| !span.slices.is_empty()) {
        for doing in [Doing::Running, Doing::Runnable, Doing::Waiting] {
            entry(palette::doing(doing), &[], threads::name(doing));
        }
    }
    if any(|lane| {
        lane.bars()
            .iter()
            .any(|bar| matches!(bar.item, Item::Gap(..)))
    }) {
        entry(GAP, &[("stroke", "#94a3b8")], "unaccounted");
    }
    if any(|lane| lane.kind == LaneKind::Orphans) {
        entry(
            "#ffffff",
            &[("stroke", ERROR), ("stroke-dasharray", "4 2")],
            "orphan",
        );
    }
    entry(
        "#ffffff",
        &[("stroke", ERROR), ("stroke-width", "2")],
        "failed",
    );
}
