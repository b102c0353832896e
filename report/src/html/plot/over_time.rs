//! How latencies went over time.

use plotters::prelude::*;
use tierscope_analyzer::Flagged;
use tierscope_model::{Nanos, Timestamp};

use super::chart::{area, builder, mesh, put};
use super::marks::{RADIUS, marks, with_marks};
use super::ticks::{text, ticks};
use super::{Failed, SOFT, STRONG, failed, range};
use crate::html::latency::Latency;

const WIDTH: u32 = 740;

/// The median as a line, up to p99 as a band; flagged requests are dots.
pub(in crate::html) fn over_time(
    latency: &Latency,
    flagged: &[&Flagged],
    (origin, length): (Timestamp, Nanos),
) -> Result<String, Failed> {
    let mut picture = String::new();
    let marks = {
        let area = area(&mut picture, WIDTH);
        let (least, most) = range(&latency.all);
        let end = seconds(length.max(1)) * 1.005;
        let up = (least..most)
            .log_scale()
            .with_key_points(ticks(least, most));
        let mut chart = builder(&area)
            .build_cartesian_2d(0.0..end, up)
            .map_err(failed)?;
        mesh(
            &mut chart,
            &|at| format!("{} s", (at * 1e3).round() / 1e3),
            &|nanos| text(*nanos),
        )?;
        let (median, high) = (line(latency, 0.5, end), line(latency, 0.99, end));
        let band: Vec<_> = median.iter().chain(high.iter().rev()).copied().collect();
        put(&mut chart, Polygon::new(band, SOFT.filled()))?;
        put(&mut chart, PathElement::new(median, STRONG.stroke_width(2)))?;
        let dot = |request: &Flagged| {
            let at = seconds(request.start.since(origin));
            chart.backend_coord(&(at, request.duration_ns.max(1) as f64))
        };
        let marks = marks(flagged, dot, chart.plotting_area().get_pixel_range());
        area.present().map_err(failed)?;
        marks
    };
    Ok(with_marks(&picture, &marks, |(x, y)| {
        format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{RADIUS}\" fill=\"#dc2626\"/>")
    }))
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

/// The quantile of each stretch of time.
fn line(latency: &Latency, share: f64, end: f64) -> Vec<(f64, f64)> {
    let point = |(middle, nanos): (Nanos, Nanos)| (seconds(middle).min(end), nanos.max(1) as f64);
    let all = latency.over_time();
    all.map(|(middle, sketch)| (middle, sketch.quantile(share, sketch.count())))
        .map(point)
        .collect()
}
