//! Why a thread was off its CPU, in a word or two.

use smol_str::format_smolstr;
use syscalls::x86_64::Sysno;
use tierscope_model::{Off, SmolStr, Switch};

use crate::wait_event;

/// PostgreSQL's wait event where there is one, else the system call; `page fault` where a thread was
/// blocked in none. None where nothing tells.
pub(crate) fn of(switch: &Switch) -> Option<SmolStr> {
    if switch.off == Off::Preempted {
        return Some(SmolStr::new_static("preempted"));
    }
    if switch.off == Off::Other {
        return Some(SmolStr::new_static("stopped"));
    }
    wait_event::name(switch.wait_event)
        .or_else(|| switch.syscall.map(syscall))
        .or_else(|| (switch.off == Off::Blocked).then(|| SmolStr::new_static("page fault")))
}

fn syscall(number: u32) -> SmolStr {
    match Sysno::new(number as usize) {
        Some(known) => SmolStr::new_static(known.name()),
        None => format_smolstr!("system call {number}"),
    }
}

/// Whether the thread lay down until something comes for any of those that it serves: an event loop
/// with nothing to do, a runtime's idle worker. What it did before says nothing of what comes after.
pub(crate) fn parks(switch: &Switch) -> bool {
    let number = switch.syscall.and_then(|n| Sysno::new(n as usize));
    let waits = matches!(
        number,
        Some(
            Sysno::epoll_wait
                | Sysno::epoll_pwait
                | Sysno::epoll_pwait2
                | Sysno::poll
                | Sysno::ppoll
                | Sysno::select
                | Sysno::pselect6
                | Sysno::futex
                | Sysno::futex_wait
                | Sysno::futex_waitv
                | Sysno::io_uring_enter
        )
    );
    waits && switch.off == Off::Sleeping
}

/// Whether the thread lay down to be told of events.
pub(crate) fn polls(switch: &Switch) -> bool {
    let number = switch.syscall.and_then(|n| Sysno::new(n as usize));
    let polls = matches!(
        number,
        Some(Sysno::epoll_wait | Sysno::epoll_pwait | Sysno::epoll_pwait2)
    );
    polls && switch.off == Off::Sleeping
}

#[cfg(test)]
mod tests {
    use tierscope_model::{Before, Timestamp};

    use super::*;

    fn switch(off: Off, syscall: Option<u32>, wait_event: u32) -> Switch {
        Switch {
            pid: 1,
            tid: 1,
            off_at: Some(Timestamp(1)),
            woken_at: None,
            off,
            syscall,
            wait_event,
            gap: false,
            unseen: false,
            throttled: false,
            before: Before::default(),
        }
    }

    #[test]
    fn the_wait_event_says_more_than_the_system_call() {
        let of = |off, syscall, event| of(&switch(off, syscall, event));
        let is = |text: &str| Some(SmolStr::new(text));
        let lock = of(Off::Sleeping, Some(232), 0x0300_0005);
        assert_eq!(lock, is("Lock: transactionid"));
        assert_eq!(of(Off::Sleeping, Some(232), 0), is("epoll_wait"));
        assert_eq!(of(Off::Blocked, Some(17), 0), is("pread64"));
        assert_eq!(of(Off::Blocked, None, 0), is("page fault"));
        assert_eq!(of(Off::Preempted, None, 0), is("preempted"));
        assert_eq!(of(Off::Sleeping, Some(99_999), 0), is("system call 99999"));
        assert_eq!(of(Off::Sleeping, None, 0), None);
    }

    #[test]
    fn only_a_sleep_for_anybody_parks() {
        assert!(parks(&switch(Off::Sleeping, Some(232), 0)));
        assert!(!parks(&switch(Off::Preempted, Some(232), 0)));
        assert!(!parks(&switch(Off::Sleeping, Some(230), 0)), "nanosleep");
    }
}
