//! Runs that the kernel left out: a program is not run where it has just interrupted itself on that CPU.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;

use aya::Ebpf;

use crate::wire_record::*;

/// The programs of tracepoints and what their losses are counted under. USDT programs are always run.
const PROGRAMS: &[(&str, u32)] = &[
    ("socket_state", TS_PROGRAM_SOCKET_STATE),
    ("send_start", TS_PROGRAM_SEND_START),
    ("send_end", TS_PROGRAM_SEND_END),
    ("send_entry", TS_PROGRAM_SEND_START),
    ("send_exit", TS_PROGRAM_SEND_END),
    ("page_entry", TS_PROGRAM_SEND_START),
    ("page_exit", TS_PROGRAM_SEND_END),
    ("room_entry", TS_PROGRAM_SEND_START),
    ("room_exit", TS_PROGRAM_SEND_START),
    ("recv", TS_PROGRAM_RECV),
    ("recv_exit", TS_PROGRAM_RECV),
    ("transmit", TS_PROGRAM_TRANSMIT),
    ("dropped", TS_PROGRAM_DROPPED),
    ("arrive", TS_PROGRAM_ARRIVE),
    ("retransmit", TS_PROGRAM_RETRANSMIT),
    ("retransmit_sent", TS_PROGRAM_RETRANSMIT),
    ("socket_close", TS_PROGRAM_CLOSE),
    ("process_fork", TS_PROGRAM_PROCESS),
    ("process_exec", TS_PROGRAM_PROCESS),
    ("process_exit", TS_PROGRAM_PROCESS),
    ("sched_switch", TS_PROGRAM_SWITCH),
    ("sched_wakeup", TS_PROGRAM_WAKEUP),
    ("sched_wakeup_new", TS_PROGRAM_WAKEUP),
    ("file_read", TS_PROGRAM_FILE),
    ("file_write", TS_PROGRAM_FILE),
    ("file_read_at", TS_PROGRAM_FILE),
    ("file_write_at", TS_PROGRAM_FILE),
    ("file_sync", TS_PROGRAM_FILE),
    ("file_send", TS_PROGRAM_FILE),
    ("file_open", TS_PROGRAM_FILE),
    ("file_open_exit", TS_PROGRAM_FILE),
    ("file_exit", TS_PROGRAM_FILE),
    ("block_insert", TS_PROGRAM_BLOCK),
    ("block_issue", TS_PROGRAM_BLOCK),
    ("block_complete", TS_PROGRAM_BLOCK),
];

/// Longer than the kernel's description of a program's descriptor, in bytes.
const INFO: usize = 1024;

/// One program's runs that were left out.
pub(crate) struct Misses {
    /// What they are counted under.
    pub(crate) program: u32,
    /// Kept open: finding it anew ten times a second costs more than reading it.
    info: File,
    known: u64,
}

impl Misses {
    /// Those of every program of `bpf` that is in the kernel by now.
    pub(crate) fn of_all(bpf: &Ebpf) -> Vec<Misses> {
        let of = |(name, program): (&str, u32)| {
            let fd = bpf.program(name)?.fd().ok()?.as_fd().as_raw_fd();
            Some(Misses {
                program,
                info: File::open(format!("/proc/self/fdinfo/{fd}")).ok()?,
                known: 0,
            })
        };
        PROGRAMS.iter().copied().filter_map(of).collect()
    }

    /// How many are new since the last call; 0 on a kernel that does not tell.
    pub(crate) fn take(&mut self) -> u64 {
        let mut info = [0; INFO];
        let read = self.info.read_at(&mut info, 0).unwrap_or(0);
        let total = std::str::from_utf8(&info[..read]).ok().and_then(missed);
        let total = total.unwrap_or(self.known);
        let new = total.saturating_sub(self.known);
        self.known = total;
        new
    }
}

/// The count in the kernel's description of a program's descriptor.
fn missed(info: &str) -> Option<u64> {
    let count = |line: &str| line.strip_prefix("recursion_misses:")?.trim().parse().ok();
    info.lines().find_map(count)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{Tracer, TracerOptions};

    #[test]
    fn the_count_is_read_from_the_kernels_description() {
        let info = "prog_type:\t26\nrun_cnt:\t7\nrecursion_misses:\t12\nverified_insns:\t9\n";
        assert_eq!(missed(info), Some(12));
        assert_eq!(missed("prog_type:\t26\n"), None);
    }

    #[test]
    fn the_kernel_tells_it_of_every_program() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: not root");
            return;
        }
        let tracer = Tracer::start(TracerOptions::default()).expect("starts");
        let all = Misses::of_all(tracer.object());
        let of_programs = |hook: &&crate::HookReport| hook.attached && hook.kind != "usdt";
        let hooks = tracer.hooks().iter().filter(of_programs);
        let programs: HashSet<_> = hooks.map(|hook| &hook.program).collect();
        assert_eq!(all.len(), programs.len());
        for one in all {
            let mut info = [0; INFO];
            let read = one.info.read_at(&mut info, 0).expect("readable");
            let info = std::str::from_utf8(&info[..read]).expect("text");
            assert!(missed(info).is_some(), "{info}");
        }
    }
}
