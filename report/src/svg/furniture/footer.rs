//! What may be missing, and how to read the picture.

use tierscope_model::Trace;

use crate::label;
use crate::svg::MARGIN;
use crate::svg::palette::{ERROR, MUTED};
use crate::svg::xml::{Font, Xml};

/// Height without the reasons.
pub(in crate::svg) const HEIGHT: f64 = 44.0;

/// One line each for the reasons why the trace may be incomplete, then a hint; `titled`: whether bars tell
/// more when pointed at.
pub(in crate::svg) fn draw(xml: &mut Xml, trace: &Trace, bottom: f64, titled: bool) {
    let mut y = bottom + 22.0;
    for reason in &trace.incomplete {
        let text = format!("incomplete: {}", label::incomplete(*reason));
        xml.text((MARGIN, y), Font::new(11.0, ERROR), &text);
        y += 16.0;
    }
    let hint = "Bars are to scale. Dark: a call from end to end; light: work inside it; \
                a strip at its foot: its one exchange with the database.";
    let more = " Point at a bar for its details.";
    let hint = format!("{hint}{}", if titled { more } else { "" });
    xml.text((MARGIN, y), Font::new(11.0, MUTED), &hint);
}
