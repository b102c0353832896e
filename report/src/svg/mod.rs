//! The SVG waterfall of one trace: a lane per tier and per hop, time from left to right.
//!
//! No script, no style sheet, no outside font: a plain viewer shows what a browser shows.

mod bars;
mod block;
mod comparison;
mod furniture;
mod hover;
mod lane;
mod palette;
mod row;
mod scale;
mod xml;

use tierscope_model::Trace;

use crate::outline::Outline;
use crate::tier::Tiers;
pub use comparison::render_comparison_svg;
use furniture::{axis, footer, heading, lane_frame, legend};
use lane::lanes;
use scale::Scale;
use xml::Xml;

/// What the picture says beyond the trace itself.
#[derive(Clone, Debug, Default)]
pub struct SvgOptions {
    /// When the request began, on the wall clock, e.g. `2026-11-20 14:03:07.123 UTC`:
    /// a trace itself holds monotonic times only.
    pub started: Option<String>,
}

/// Width of the picture in pixels.
const WIDTH: f64 = 1280.0;
/// White space around it.
const MARGIN: f64 = 24.0;
/// Where the first lane begins.
const TOP: f64 = 132.0;
/// Height of one row of bars.
const ROW: f64 = 20.0;
/// White space above and below a lane's rows.
const PAD: f64 = 5.0;

/// The trace as an SVG document of 1280 pixels' width and as high as it needs.
///
/// Every span is one bar with a hover title (duration, offset, attributes, evidence).
pub fn render_svg(trace: &Trace, options: &SvgOptions) -> String {
    draw(trace, options, true)
}

/// The same for a page that has [`svg_patterns`]: without hover titles, which are the most of it.
pub(crate) fn inline_svg(trace: &Trace) -> String {
    draw(trace, &SvgOptions::default(), false)
}

/// An empty picture with the hatchings that inline pictures refer to.
pub(crate) fn svg_patterns() -> String {
    let mut xml = Xml::document(0.0, 0.0);
    palette::patterns(&mut xml);
    xml.finish()
}

fn draw(trace: &Trace, options: &SvgOptions, alone: bool) -> String {
    let (outline, tiers) = (Outline::new(trace), Tiers::of(trace));
    let scale = Scale::new(outline.range());
    let lanes = lanes(&outline, &scale);
    let height_of = |rows: usize| rows as f64 * ROW + 2.0 * PAD;
    let bottom = TOP + lanes.iter().map(|l| height_of(l.rows())).sum::<f64>();
    let height = bottom + footer::HEIGHT + 16.0 * trace.incomplete.len() as f64;

    let mut xml = Xml::document(WIDTH, height);
    match alone {
        true => palette::patterns(&mut xml),
        false => xml = xml.without_titles(),
    }
    xml.rect((0.0, 0.0, WIDTH, height), &[("fill", "#ffffff")]);
    heading::draw(&mut xml, trace, options);
    legend::draw(&mut xml, trace, &tiers, &lanes);
    let mut top = TOP;
    for (place, lane) in lanes.iter().enumerate() {
        lane_frame::draw(&mut xml, lane, &tiers, (place, top, height_of(lane.rows())));
        top += height_of(lane.rows());
    }
    axis::draw(&mut xml, &scale, bottom);
    top = TOP;
    for lane in &lanes {
        bars::draw(&mut xml, &outline, &tiers, lane, top + PAD);
        top += height_of(lane.rows());
    }
    footer::draw(&mut xml, trace, bottom, alone);
    xml.finish()
}
