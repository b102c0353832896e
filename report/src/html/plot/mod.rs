//! An endpoint's latencies as pictures: their distribution, and how they went over time.

mod distribution;
mod marks;
mod over_time;
mod ticks;

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::*;
use tierscope_analyzer::Sketch;

pub(super) use distribution::distribution;
pub(super) use over_time::over_time;

/// Height of a picture, in pixels.
const HEIGHT: u32 = 230;
/// The house's colours; the style sheet has a dark twin of each.
const INK: RGBColor = RGBColor(0x0f, 0x17, 0x2a);
const MUTED: RGBColor = RGBColor(0x47, 0x55, 0x69);
const GRID: RGBColor = RGBColor(0xe2, 0xe8, 0xf0);
const STRONG: RGBColor = RGBColor(0x1d, 0x4e, 0xd8);
const SOFT: RGBColor = RGBColor(0xb3, 0xcd, 0xfb);

/// Why a picture could not be drawn.
pub(super) type Failed = String;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn area(text: &mut String, width: u32) -> Area<'_> {
    SVGBackend::with_string(text, (width, HEIGHT)).into_drawing_area()
}

/// A chart with room for the texts of its axes.
fn builder<'a, 'b>(area: &'a Area<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder
        .margin(8)
        .margin_right(20)
        .x_label_area_size(26)
        .y_label_area_size(54);
    builder
}

fn font() -> TextStyle<'static> {
    ("sans-serif", 12).into_font().color(&MUTED)
}

fn failed(error: impl Display) -> Failed {
    format!("cannot be drawn: {error}")
}

/// From a little under the least latency to a little over the greatest, in nanoseconds.
fn range(sketch: &Sketch) -> (f64, f64) {
    let least = sketch.values().next().map_or(1, |(nanos, _)| nanos).max(1) as f64;
    let most = sketch.max().max(1) as f64;
    (least * 0.85, (most * 1.2).max(least * 2.0))
}
