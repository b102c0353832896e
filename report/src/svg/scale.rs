//! Time to pixels, and round ticks.

use tierscope_model::{Nanos, Timestamp};

use super::{MARGIN, WIDTH};
use crate::gap::Stretch;

/// Left edge of the plot: right of the lanes' names.
pub(super) const LEFT: f64 = 184.0;
/// Right edge of the plot; a label may stand right of it.
pub(super) const RIGHT: f64 = WIDTH - MARGIN - 64.0;
/// About so many ticks, and at least so many pixels from one to the next.
const TICKS: u64 = 10;
const TICK: f64 = 56.0;

/// Where a point in time stands.
pub(super) struct Scale {
    start: Timestamp,
    whole: Nanos,
    edges: (f64, f64),
}

impl Scale {
    pub(super) fn new(time: Stretch) -> Scale {
        Scale::between(time, (LEFT, RIGHT))
    }

    /// A scale from one edge to another, in pixels.
    pub(super) fn between((start, end): Stretch, edges: (f64, f64)) -> Scale {
        Scale {
            start,
            whole: end.since(start).max(1),
            edges,
        }
    }

    pub(super) fn x(&self, time: Timestamp) -> f64 {
        self.x_at(time.since(self.start))
    }

    /// Nanoseconds since the picture's left edge.
    pub(super) fn offset(&self, time: Timestamp) -> Nanos {
        time.since(self.start)
    }

    fn x_at(&self, offset: Nanos) -> f64 {
        let (left, right) = self.edges;
        left + offset.min(self.whole) as f64 / self.whole as f64 * (right - left)
    }

    /// Round ticks: place and text, e.g. `20 ms`.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let (left, right) = self.edges;
        let ticks = (((right - left) / TICK) as u64).clamp(1, TICKS);
        let step = round_step(self.whole / ticks);
        let (unit, scale) = unit(self.whole);
        let decimals = (0..)
            .find(|d| (step * 10u64.pow(*d)).is_multiple_of(scale))
            .unwrap_or(0) as usize;
        (0..=self.whole / step)
            .map(|n| n * step)
            .map(|at| {
                let value = at as f64 / scale as f64;
                (self.x_at(at), format!("{value:.decimals$} {unit}"))
            })
            .collect()
    }
}

/// The smallest 1, 2 or 5 times a power of ten that is not below `least`.
fn round_step(least: Nanos) -> Nanos {
    let power = 10u64.pow(least.max(1).ilog10());
    [1, 2, 5]
        .map(|n| n * power)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(power.saturating_mul(10))
}

fn unit(whole: Nanos) -> (&'static str, Nanos) {
    match whole {
        0..2_000 => ("ns", 1),
        2_000..2_000_000 => ("µs", 1_000),
        2_000_000..2_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(nanos: u64) -> Vec<String> {
        let scale = Scale::new((Timestamp(7), Timestamp(7 + nanos)));
        scale.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_whatever_the_length() {
        assert_eq!(texts(310_000)[..3], ["0 µs", "50 µs", "100 µs"]);
        assert_eq!(texts(45_200_000).last().map(String::as_str), Some("45 ms"));
        assert_eq!(texts(2_100_000)[1], "0.5 ms");
        assert_eq!(texts(0), ["0 ns", "1 ns"]);
        for nanos in [
            1,
            9,
            999,
            12_345,
            7_777_777,
            3_600_000_000_000,
            u64::MAX / 2,
        ] {
            assert!((2..=13).contains(&texts(nanos).len()), "{nanos}");
        }
    }
}
