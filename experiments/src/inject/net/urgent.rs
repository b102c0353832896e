//! Threads that must not wait for a CPU.

/// The calling thread runs before all ordinary ones: packets wait for it. Where that is refused it is as
/// slow as the others.
pub(super) fn urgent() {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: 0 is the calling thread, and the parameter lives through the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first) };
}
