//! Round ticks on a logarithmic axis.

use crate::duration::human;

/// More ticks than this crowd an axis.
const MOST: usize = 8;

/// Powers of ten, with 2 and 5 times them where there is room.
pub(super) fn ticks(least: f64, most: f64) -> Vec<f64> {
    let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
    let of = |steps: &[f64]| -> Vec<f64> {
        let all = (from..=to).flat_map(|power| steps.iter().map(move |s| s * 10f64.powi(power)));
        all.filter(|tick| (least..=most).contains(tick)).collect()
    };
    let mut choices = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0]].into_iter().map(of);
    choices
        .find(|ticks| ticks.len() <= MOST)
        .unwrap_or_else(|| of(&[1.0]))
}

/// A tick's text: `200 µs`, `1 ms`.
pub(super) fn text(nanos: f64) -> String {
    let text = human(nanos.max(0.0).round() as u64);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            let number = number.trim_end_matches('0').trim_end_matches('.');
            format!("{number} {unit}")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(0.9e6, 4.7e6), [1e6, 2e6]);
        assert_eq!(ticks(0.9e6, 120e6), [1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8]);
        assert_eq!(ticks(1.0, 2e9).len(), 10);
    }

    #[test]
    fn texts_have_no_idle_digits() {
        assert_eq!(text(1_000_000.0), "1 ms");
        assert_eq!(text(200_000.0), "200 µs");
        assert_eq!(text(1_500.0), "1.5 µs");
        assert_eq!(text(10_000_000_000.0), "10 s");
    }
}
