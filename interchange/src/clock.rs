//! From monotonic times to the wall clock.

use serde::{Deserialize, Serialize};
use tierscope_model::{Nanos, Timestamp};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// CLOCK_MONOTONIC, in nanoseconds.
    pub monotonic_ns: u64,
    /// CLOCK_REALTIME at that moment, in nanoseconds since 1970 UTC.
    pub wall_ns: u64,
}

impl Clock {
    /// Nanoseconds since 1970 UTC; 0 for what was before.
    pub fn wall_ns(&self, time: Timestamp) -> u64 {
        let offset = i128::from(time.0) - i128::from(self.monotonic_ns);
        let wall = (i128::from(self.wall_ns) + offset).max(0);
        u64::try_from(wall).unwrap_or(u64::MAX)
    }

    /// Start and length in whole microseconds, both ends rounded down, so that a child stays
    /// within its parent.
    pub(crate) fn micros(&self, start: Timestamp, end: Timestamp) -> (u64, Nanos) {
        let (start, end) = (self.wall_ns(start) / 1_000, self.wall_ns(end) / 1_000);
        (start, end.saturating_sub(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_the_anchor_keep_their_distance() {
        let clock = Clock {
            monotonic_ns: 500,
            wall_ns: 1_000_000,
        };
        assert_eq!(clock.wall_ns(Timestamp(500)), 1_000_000);
        assert_eq!(clock.wall_ns(Timestamp(1_700)), 1_001_200);
        assert_eq!(clock.wall_ns(Timestamp(0)), 999_500);
        assert_eq!(Clock::default().wall_ns(Timestamp(u64::MAX)), u64::MAX);
    }
}
