//! Threads whose cgroup has used its CPU quota up, against what the kernel counts of the cgroup.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::records::Records;
use crate::workload::{Workload, gate};
use crate::{can_trace, emulated, trace};

const SPINNING: Duration = Duration::from_secs(1);
/// Of each 100 ms, in µs: little, so that it is used up on a busy machine, too.
const QUOTA: &str = "5000";

/// One thread that wants a CPU all the time.
pub fn spins() {
    gate();
    let begun = Instant::now();
    while begun.elapsed() < SPINNING {
        std::hint::spin_loop();
    }
}

/// A cgroup with a quota; removed when dropped, which works once nobody is in it.
struct Quota(PathBuf);

impl Quota {
    /// None, with the reason printed, where this machine has no quotas.
    fn new() -> Option<Self> {
        let Some(above) = mounted() else {
            println!("skipped: no cgroup with quotas");
            return None;
        };
        let quota = Self(above.join(format!("tierscope-test-{}", std::process::id())));
        fs::create_dir(&quota.0).expect("a cgroup");
        let (file, text) = match above.join("cgroup.controllers").exists() {
            true => ("cpu.max", format!("{QUOTA} 100000")),
            false => ("cpu.cfs_quota_us", QUOTA.to_owned()),
        };
        fs::write(quota.0.join(file), text).expect("a quota");
        Some(quota)
    }

    fn take(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("moved");
    }

    /// Nanoseconds.
    fn throttled(&self) -> u64 {
        let stat = fs::read_to_string(self.0.join("cpu.stat")).expect("counted");
        let number = |key: &str| -> Option<u64> {
            let line = stat.lines().find_map(|line| line.strip_prefix(key));
            line.map(|line| line.trim().parse().expect("number"))
        };
        let micros = number("throttled_usec").map(|micros| micros * 1000);
        micros.or_else(|| number("throttled_time")).expect("known")
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        _ = fs::remove_dir(&self.0);
    }
}

/// Where cgroups have quotas.
fn mounted() -> Option<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let first = [root.join("cpu"), root.to_path_buf()];
    if emulated() && !root.join("cgroup.procs").exists() {
        let status = Command::new("mount")
            .args(["-t", "cgroup2", "none"])
            .arg(root)
            .status();
        status.ok().filter(|status| status.success())?;
        _ = fs::write(root.join("cgroup.subtree_control"), "+cpu");
    }
    first.into_iter().find(|dir| {
        let shared = fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap_or_default();
        dir.join("cpu.cfs_quota_us").exists() || shared.split_whitespace().any(|c| c == "cpu")
    })
}

#[test]
fn threads_without_quota_left() {
    if !can_trace() {
        return;
    }
    let Some(quota) = Quota::new() else { return };
    let workload = Workload::start("spins");
    let pid = workload.pid();
    quota.take(pid);
    let mut tracer = trace(&[pid]);
    workload.run_and_read();
    let counted = quota.throttled();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let throttled = records
        .switches
        .iter()
        .filter(|s| s.pid == pid && s.throttled == 1);
    let told: u64 = throttled.map(|s| s.head.ts - s.off_ts.max(s.wake_ts)).sum();
    println!("throttled: {told} ns told, {counted} ns counted");
    let half = SPINNING.as_nanos() as u64 / 2;
    assert!(counted > half, "it was throttled");
    // Afterwards the thread may wait for its CPU, so more may be told.
    let least = if emulated() {
        0
    } else {
        counted - counted / 10
    };
    assert!(told > least);
}
