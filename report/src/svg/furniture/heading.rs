//! What the request was and how long it took.

use tierscope_model::Trace;

use crate::duration::human;
use crate::label;
use crate::svg::palette::{ERROR, INK, MUTED};
use crate::svg::xml::{Font, Xml};
use crate::svg::{MARGIN, SvgOptions, WIDTH};
use crate::text::{clip, visible, visible_clip};

/// Title left, duration right, the facts below.
pub(in crate::svg) fn draw(xml: &mut Xml, trace: &Trace, options: &SvgOptions) {
    let title = visible_clip(&trace.endpoint, 80);
    xml.leaf(
        "title",
        &[],
        &format!("{title} ({})", human(trace.duration())),
    );
    xml.text((MARGIN, 40.0), Font::new(20.0, INK).bold(), &title);
    let right = Font::new(20.0, INK).bold().anchor("end");
    xml.text((WIDTH - MARGIN, 40.0), right, &human(trace.duration()));
    let mut facts = label::facts(trace);
    facts.extend(options.started.as_deref().map(visible));
    xml.text(
        (MARGIN, 62.0),
        Font::new(12.0, MUTED),
        &clip(&facts.join(" · "), 150),
    );
    if let Some(error) = trace.root().and_then(label::error) {
        let font = Font::new(12.0, ERROR).bold().anchor("end");
        xml.text((WIDTH - MARGIN, 62.0), font, &error);
    }
}
