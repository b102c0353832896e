//! What a thread came to.

use std::panic::resume_unwind;
use std::thread;

/// What it returned; a panic goes on where it is waited for.
pub(super) fn joined<T>(outcome: thread::Result<T>) -> T {
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}
