//! The clocks that times are taken from.

use std::io;

use nix::time::{ClockId, clock_gettime};
use tierscope_model::Timestamp;

/// A clock's time in nanoseconds.
pub(crate) fn read(clock: ClockId) -> io::Result<u64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// CLOCK_MONOTONIC, the clock of every record.
pub(crate) fn now() -> Timestamp {
    // Every Linux has it.
    Timestamp(read(ClockId::CLOCK_MONOTONIC).unwrap_or_default())
}
