//! The clock that the kernel's own timestamps use.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// CLOCK_MONOTONIC in nanoseconds.
pub fn now() -> u64 {
    match clock_gettime(ClockId::CLOCK_MONOTONIC) {
        Ok(time) => time.tv_sec() as u64 * SECOND + time.tv_nsec() as u64,
        Err(error) => unreachable!("every Linux has CLOCK_MONOTONIC: {error}"),
    }
}
