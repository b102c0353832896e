//! Time as integer nanoseconds on CLOCK_MONOTONIC.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A length of time in nanoseconds.
pub type Nanos = u64;

/// A point in time: nanoseconds on CLOCK_MONOTONIC of the traced host (`bpf_ktime_get_ns`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds from `earlier` to `self`; 0 where `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Nanos {
        self.0.saturating_sub(earlier.0)
    }

    /// Signed nanoseconds from `earlier` to `self`: negative where the order is reversed.
    pub fn signed_since(self, earlier: Timestamp) -> i64 {
        self.0.wrapping_sub(earlier.0) as i64
    }
}

impl Add<Nanos> for Timestamp {
    type Output = Timestamp;

    fn add(self, nanos: Nanos) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos))
    }
}

impl Sub<Nanos> for Timestamp {
    type Output = Timestamp;

    fn sub(self, nanos: Nanos) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanos))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_never_goes_below_zero_but_signed_since_tells() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), 0);
        assert_eq!(Timestamp(5).signed_since(Timestamp(9)), -4);
        assert_eq!(Timestamp(9).since(Timestamp(5)), 4);
    }
}
