//! An endpoint's latencies as pictures: their distribution, and how they went over time.

mod chart;
mod distribution;
mod marks;
mod over_time;
mod ticks;

use std::fmt::Display;

use plotters::style::RGBColor;
use tierscope_analyzer::Sketch;

pub(super) use distribution::distribution;
pub(super) use over_time::over_time;

/// The house's colours; the style sheet has a dark twin of each.
const INK: RGBColor = RGBColor(0x0f, 0x17, 0x2a);
const MUTED: RGBColor = RGBColor(0x47, 0x55, 0x69);
const GRID: RGBColor = RGBColor(0xe2, 0xe8, 0xf0);
const STRONG: RGBColor = RGBColor(0x1d, 0x4e, 0xd8);
const SOFT: RGBColor = RGBColor(0xb3, 0xcd, 0xfb);

/// Why a picture could not be drawn.
pub(super) type Failed = String;

fn failed(error: impl Display) -> Failed {
    format!("cannot be drawn: {error}")
}

/// From a little under the least latency to a little over the greatest, in nanoseconds.
fn range(sketch: &Sketch) -> (f64, f64) {
    let least = sketch.values().next().map_or(1, |(nanos, _)| nanos).max(1) as f64;
    let most = sketch.max().max(1) as f64;
    (least * 0.85, (most * 1.2).max(least * 2.0))
}
