//! Changes of the request rate.

use statrs::distribution::{ContinuousCDF, Normal};
use tierscope_model::Nanos;

/// A rate that differs by less than this factor is the same,
const FACTOR: f64 = 1.4;
/// and so is one whose requests differ by less than so many times what chance makes of them: the root of their number.
const CHANCE: f64 = 5.0;

/// A lasting change of the rate, from window `number` on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RateShift {
    pub(crate) number: u64,
    /// The window after the last one.
    pub(crate) end: u64,
    /// Requests per second.
    pub(crate) before: f64,
    pub(crate) after: f64,
}

impl RateShift {
    /// How probable a difference as great is by chance, between two windows of this length (two-sided).
    pub(crate) fn p(&self, length: Nanos) -> f64 {
        let [before, after] = [self.before, self.after].map(|rate| rate * length as f64 / 1e9);
        let z = (after - before).abs() / (before + after).sqrt().max(f64::MIN_POSITIVE);
        2.0 * Normal::standard().sf(z)
    }
}

/// The rate so far: one number, and the changes of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    windows: u64,
    mean: f64,
    /// A window that differs waits for the next one to say the same.
    odd: Option<(u64, f64)>,
    shifts: Vec<RateShift>,
    next: u64,
}

impl Load {
    pub(crate) fn push(&mut self, number: u64, requests: u64, length: Nanos) {
        let rate = requests as f64 * 1e9 / length as f64;
        self.next = number + 1;
        let is_same = |a: f64, b: f64| is_same(a, b, length as f64 / 1e9);
        if self.windows == 0 || is_same(rate, self.mean) {
            self.odd = None;
            self.windows += 1;
            self.mean += (rate - self.mean) / self.windows as f64;
            if let Some(shift) = self.shifts.last_mut() {
                shift.after = self.mean;
            }
            return;
        }
        match self.odd.take() {
            Some((first, earlier)) if is_same(rate, earlier) => {
                self.shifts.push(RateShift {
                    number: first,
                    end: 0,
                    before: self.mean,
                    after: rate,
                });
                // The change may have come in the midst of the first.
                (self.windows, self.mean) = (1, rate);
            }
            _ => self.odd = Some((number, rate)),
        }
    }

    /// The changes, each up to the next one.
    pub(crate) fn shifts(&self) -> Vec<RateShift> {
        let ends = self.shifts.iter().skip(1).map(|next| next.number);
        let ends = ends.chain([self.next]);
        let shifts = self.shifts.iter().zip(ends);
        shifts
            .map(|(shift, end)| RateShift { end, ..*shift })
            .collect()
    }
}

/// Whether two rates are the same, as far as windows of so many seconds can tell.
fn is_same(a: f64, b: f64, seconds: f64) -> bool {
    let (less, more) = (a.min(b) * seconds, a.max(b) * seconds);
    more < less * FACTOR || more - less <= CHANCE * more.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifts(requests: &[u64]) -> Vec<(u64, u64)> {
        let mut load = Load::default();
        for (number, n) in requests.iter().enumerate() {
            load.push(number as u64, *n, 1_000_000_000);
        }
        load.shifts()
            .iter()
            .map(|shift| (shift.number, shift.end))
            .collect()
    }

    #[test]
    fn only_what_lasts_is_a_shift() {
        assert_eq!(shifts(&[300, 310, 290, 600, 610, 600]), [(3, 6)]);
        assert_eq!(shifts(&[300, 310, 290, 900, 310, 305]), []);
        assert_eq!(shifts(&[300, 300, 600, 600, 300, 300]), [(2, 4), (4, 6)]);
        assert_eq!(shifts(&[1, 0, 8, 9, 20, 20]), [], "so few come by chance");
    }
}
