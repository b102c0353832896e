//! The change of throughput and latency against no tracing, drawn.

use anyhow::anyhow;
use plotters::prelude::*;

use crate::{arm::Arm, compare::Runs, interval::Interval, plan::Level, sample::Sample};

/// One row: an arm under a level.
struct Row {
    label: String,
    change: Interval,
}

/// Draws the 95 % interval of each change with its median.
pub fn draw(runs: &Runs) -> anyhow::Result<String> {
    let rows = rows(runs);
    let mut text = String::new();
    let height = 70 + 22 * rows.len() as u32;
    let area = SVGBackend::with_string(&mut text, (900, height)).into_drawing_area();
    area.fill(&WHITE).map_err(failed)?;
    let reach = rows
        .iter()
        .flat_map(|row| [row.change.low.abs(), row.change.high.abs()]);
    // One odd run must not flatten all others.
    let reach = reach.fold(0.05, f64::max).min(0.6) * 100.0;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "Change against no tracing (%), median and 95 % interval",
            ("sans-serif", 16),
        )
        .margin(8)
        .x_label_area_size(24)
        .build_cartesian_2d(-reach..reach * 1.8, 0.0..rows.len() as f64)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_y_axis()
        .disable_y_mesh()
        .draw()
        .map_err(failed)?;
    for (place, row) in rows.iter().rev().enumerate() {
        let y = place as f64 + 0.5;
        let change = row.change.scaled(100.0);
        let line = [(change.low, y), (change.high, y)];
        let chart = &mut chart;
        chart
            .draw_series(LineSeries::new(
                line.map(|(x, y)| (x.clamp(-reach, reach), y)),
                BLUE.stroke_width(3),
            ))
            .map_err(failed)?;
        chart
            .draw_series([Circle::new(
                (change.median.clamp(-reach, reach), y),
                4,
                BLUE.filled(),
            )])
            .map_err(failed)?;
        chart
            .draw_series([Text::new(
                row.label.clone(),
                (reach * 1.05, y + 0.25),
                ("sans-serif", 13),
            )])
            .map_err(failed)?;
    }
    area.present().map_err(failed)?;
    drop(chart);
    drop(area);
    Ok(text)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

fn rows(runs: &Runs) -> Vec<Row> {
    let mut rows = Vec::new();
    for level in runs.levels() {
        for arm in Arm::ALL.into_iter().filter(|arm| *arm != Arm::Off) {
            let (what, figure): (_, fn(&Sample) -> f64) = match level {
                Level::Saturation => ("throughput", |sample| sample.rate),
                _ => ("p99", |sample| sample.p99_ns as f64),
            };
            rows.extend(
                runs.change(&[level], (arm, Arm::Off), figure)
                    .map(|change| Row {
                        label: format!("{what}, {}: {}", level.label(), arm.label()),
                        change,
                    }),
            );
        }
    }
    rows
}
