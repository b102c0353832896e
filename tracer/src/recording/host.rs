//! Facts about this host and its processes.

use std::fs;
use std::io;

use nix::time::ClockId;
use tierscope_model::Timestamp;

use super::{ClockAnchor, ProcessEntry};
use crate::clock::read;

/// Identity of this boot.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Both clocks, as near to each other as three readings get.
pub(super) fn clock_anchor() -> io::Result<ClockAnchor> {
    let before = read(ClockId::CLOCK_MONOTONIC)?;
    let wall_ns = read(ClockId::CLOCK_REALTIME)?;
    let after = read(ClockId::CLOCK_MONOTONIC)?;
    Ok(ClockAnchor {
        monotonic_ns: Timestamp(before.midpoint(after)),
        wall_ns,
    })
}

impl ProcessEntry {
    /// What `/proc` says of a process.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn of(pid: u32, service: u32) -> io::Result<ProcessEntry> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name is in brackets and may hold any character; the 22nd field is the 20th behind it.
        let (name, fields) = stat.rsplit_once(')').unwrap_or_default();
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        Ok(ProcessEntry {
            pid,
            service,
            comm: name.split_once('(').unwrap_or_default().1.to_owned(),
            exe: exe.to_string_lossy().into_owned(),
            start_ticks: fields
                .split_whitespace()
                .nth(19)
                .and_then(|field| field.parse().ok())
                .unwrap_or(0),
        })
    }
}
