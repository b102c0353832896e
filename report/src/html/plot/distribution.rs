//! How often which latency was.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use tierscope_analyzer::{Flagged, Sketch};

use super::marks::{marks, with_marks};
use super::ticks::{text, ticks};
use super::{Failed, GRID, INK, SOFT, STRONG, area, builder, failed, font, range};
use crate::duration::human;
use crate::html::latency::Latency;

const WIDTH: u32 = 460;
/// Columns of the picture.
const COLUMNS: usize = 56;
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
        let top = columns.iter().map(|(_, n)| *n).max().unwrap_or(1) as f64 * 2.0;
        let mut chart = builder(&area)
            .build_cartesian_2d(
                (least..most)
                    .log_scale()
                    .with_key_points(ticks(least, most)),
                (FOOT..top).log_scale().with_key_points(ticks(FOOT, top)),
            )
            .map_err(failed)?;
        chart
            .configure_mesh()
            .axis_style(GRID)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(font())
            .x_label_formatter(&|nanos| text(*nanos))
            .y_label_formatter(&|n| format!("{n:.0}"))
            .draw()
            .map_err(failed)?;
        let bars = columns.iter().filter(|(_, n)| *n > 0);
        let bars =
            bars.map(|((a, b), n)| Rectangle::new([(*a, FOOT), (*b, *n as f64)], SOFT.filled()));
        chart.draw_series(bars).map_err(failed)?;
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let nanos = latency.quantile(share).max(1);
            let x = nanos as f64;
            let line = PathElement::new([(x, FOOT), (x, top)], STRONG);
            chart.draw_series([line]).map_err(failed)?;
            let is_right = (x / least).ln() > 0.65 * (most / least).ln();
            let side = if is_right { HPos::Right } else { HPos::Left };
            let style = ("sans-serif", 12).into_font().color(&INK);
            let style = style.pos(Pos::new(side, VPos::Top));
            let words = format!("\u{2009}{name} {}\u{2009}", human(nanos));
            let words = Text::new(words, (x, top * 0.95), style);
            chart.draw_series([words]).map_err(failed)?;
        }
        let foot =
            |request: &Flagged| chart.backend_coord(&(request.duration_ns.max(1) as f64, FOOT));
        let marks = marks(flagged, foot);
        area.present().map_err(failed)?;
        marks
    };
    Ok(with_marks(&picture, &marks, |(x, y)| {
        format!("<path d=\"M{x} {y}v-10\" stroke=\"#dc2626\" stroke-width=\"2\"/>")
    }))
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
