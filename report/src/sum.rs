//! Sums that add up as they are printed: in whole microseconds, and what rounding leaves is part of the rest.

/// The nearest microsecond.
pub(crate) fn micros(nanos: i64) -> i64 {
    let half = if nanos < 0 { -500 } else { 500 };
    nanos.saturating_add(half) / 1_000
}

/// `205.734 ms`.
pub(crate) fn ms(micros: i64) -> String {
    format!("{:.3} ms", micros as f64 / 1e3)
}

/// `+203.483 ms`, `−1.474 ms`.
pub(crate) fn signed(micros: i64) -> String {
    let sign = if micros < 0 { "−" } else { "+" };
    format!("{sign}{:.3} ms", micros.unsigned_abs() as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_microsecond_on_either_side() {
        let all = [1_499, 1_500, -1_499, -1_500].map(micros);
        assert_eq!(all, [1, 2, -1, -2]);
        assert_eq!(
            (ms(205_734), signed(-474)),
            ("205.734 ms".into(), "−0.474 ms".into())
        );
    }
}
