//! The frame of a picture: axes, grid, and what is drawn in it.

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::combinators::{LogCoord, WithKeyPoints};
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::*;

use super::{Failed, GRID, MUTED, failed};

/// Height of a picture, in pixels.
const HEIGHT: u32 = 230;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A logarithmic axis with ticks of our own.
pub(super) type Log = WithKeyPoints<LogCoord<f64>>;
/// A picture's inside.
pub(super) type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

pub(super) fn area(text: &mut String, width: u32) -> Area<'_> {
    SVGBackend::with_string(text, (width, HEIGHT)).into_drawing_area()
}

/// A chart with room for the texts of its axes.
pub(super) fn builder<'a, 'b>(area: &'a Area<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder
        .margin(8)
        .margin_right(20)
        .x_label_area_size(26)
        .y_label_area_size(54);
    builder
}

/// Draws the axes with their texts, and the grid.
pub(super) fn mesh<X, Y>(
    chart: &mut Chart<'_, '_, X, Y>,
    x: &dyn Fn(&f64) -> String,
    y: &dyn Fn(&f64) -> String,
) -> Result<(), Failed>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let font = ("sans-serif", 12).into_font().color(&MUTED);
    let mut mesh = chart.configure_mesh();
    mesh.axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(font)
        .x_labels(11)
        .x_label_formatter(x)
        .y_label_formatter(y);
    mesh.draw().map_err(failed)
}

/// Draws one thing.
pub(super) fn put<'b, X, Y, E>(chart: &mut Chart<'_, 'b, X, Y>, element: E) -> Result<(), Failed>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
    for<'e> &'e E: PointCollection<'e, (f64, f64)>,
    E: Drawable<SVGBackend<'b>>,
{
    chart.draw_series([element]).map(drop).map_err(failed)
}
