//! Durations in the unit that fits.

use tierscope_model::Nanos;

/// A duration with three significant digits: `950 ns`, `312 µs`, `45.2 ms`, `1.23 s`.
pub fn human(nanos: Nanos) -> String {
    if nanos < 1_000 {
        return format!("{nanos} ns");
    }
    let nanos = nanos as f64;
    for (unit, scale) in [("µs", 1e3), ("ms", 1e6)] {
        if nanos / scale < 999.5 {
            return three_digits(nanos / scale, unit);
        }
    }
    three_digits(nanos / 1e9, "s")
}

fn three_digits(value: f64, unit: &str) -> String {
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_and_rounding_does_not_add_a_digit() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (9_996, "10.0 µs"),
            (312_400, "312 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (45_210_000, "45.2 ms"),
            (1_230_000_000, "1.23 s"),
            (1_234_000_000_000, "1234 s"),
        ] {
            assert_eq!(human(nanos), text);
        }
    }
}
