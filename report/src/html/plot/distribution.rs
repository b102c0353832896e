//! How often which latency was.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use tierscope_analyzer::{Flagged, Sketch};
use tierscope_model::Nanos;

use super::chart::{Chart, Log, area, builder, mesh, put};
use super::marks::{marks, with_marks};
use super::ticks::{text, ticks};
use super::{Failed, INK, SOFT, STRONG, failed, range};
use crate::duration::human;
use crate::html::latency::Latency;

const WIDTH: u32 = 460;
/// Columns of the picture.
const COLUMNS: usize = 56;
/// The axis of counts ends at so many times the highest column: the names of lines stand above it.
const HEADROOM: f64 = 6.0;
/// Height of a line's name, as a share of the picture's.
const NAME: f64 = 0.085;
/// Where the axis of counts begins: a column of one request is seen.
const FOOT: f64 = 0.6;

/// Both axes are logarithmic: few requests are slow, and they matter. Flagged ones are ticks at the foot.
pub(in crate::html) fn distribution(
    latency: &Latency,
    flagged: &[&Flagged],
) -> Result<String, Failed> {
    let mut picture = String::new();
    let marks = {
        let area = area(&mut picture, WIDTH);
        let (least, most) = range(&latency.all);
        let columns = columns(&latency.all, (least, most));
        let top = columns.iter().map(|(_, n)| *n).max().unwrap_or(1) as f64 * HEADROOM;
        let across = (least..most)
            .log_scale()
            .with_key_points(ticks(least, most));
        let up = (FOOT..top).log_scale().with_key_points(ticks(FOOT, top));
        let mut chart = builder(&area)
            .build_cartesian_2d(across, up)
            .map_err(failed)?;
        mesh(&mut chart, &|nanos| text(*nanos), &|n| format!("{n:.0}"))?;
        for ((from, to), n) in columns.iter().filter(|(_, n)| *n > 0) {
            let column = [(*from, FOOT), (*to, *n as f64)];
            put(&mut chart, Rectangle::new(column, SOFT.filled()))?;
        }
        for (row, (share, name)) in [(0.5, "p50"), (0.99, "p99")].into_iter().enumerate() {
            quantile(&mut chart, latency.quantile(share), name, row)?;
        }
        let foot =
            |request: &Flagged| chart.backend_coord(&(request.duration_ns.max(1) as f64, FOOT));
        let marks = marks(flagged, foot, chart.plotting_area().get_pixel_range());
        area.present().map_err(failed)?;
        marks
    };
    Ok(with_marks(&picture, &marks, |(x, y)| {
        format!("<path d=\"M{x} {y}m0 4v-12\" stroke=\"#dc2626\" stroke-width=\"2\"/>")
    }))
}

/// A line from the foot up to its name, which stands with its value on the side that has room; one name per row.
fn quantile(
    chart: &mut Chart<'_, '_, Log, Log>,
    nanos: Nanos,
    name: &str,
    row: usize,
) -> Result<(), Failed> {
    let x = nanos.max(1) as f64;
    let (across, up) = (chart.x_range(), chart.y_range());
    let top = up.end * (FOOT / up.end).powf(NAME * row as f64);
    put(chart, PathElement::new([(x, FOOT), (x, top)], STRONG))?;
    let is_right = (x / across.start).ln() > 0.65 * (across.end / across.start).ln();
    let side = if is_right { HPos::Right } else { HPos::Left };
    let style = ("sans-serif", 12).into_font().color(&INK);
    let style = style.pos(Pos::new(side, VPos::Top));
    let words = format!("\u{2002}{name} {}\u{2002}", human(nanos));
    put(chart, Text::new(words, (x, top), style))
}

/// Columns of equal width on a logarithmic axis: their edges, and how many requests each has.
fn columns(sketch: &Sketch, (least, most): (f64, f64)) -> Vec<((f64, f64), u64)> {
    let step = (most / least).ln() / COLUMNS as f64;
    let edge = |place: usize| least * (step * place as f64).exp();
    let mut columns: Vec<_> = (0..COLUMNS)
        .map(|at| ((edge(at), edge(at + 1)), 0))
        .collect();
    for (nanos, count) in sketch.values() {
        let place = ((nanos.max(1) as f64 / least).ln() / step) as usize;
        columns[place.min(COLUMNS - 1)].1 += u64::from(count);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_stands_in_a_column() {
        let mut sketch = Sketch::default();
        for nanos in [0, 1, 7, 1_000, 2_000_000, u64::MAX] {
            sketch.insert(nanos);
        }
        let columns = columns(&sketch, range(&sketch));
        assert_eq!(columns.iter().map(|(_, n)| n).sum::<u64>(), 6);
        assert!(columns.iter().all(|((a, b), _)| a < b));
    }
}
