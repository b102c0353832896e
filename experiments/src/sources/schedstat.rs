//! The scheduler's own statistics (`/proc/PID/task/TID/schedstat`) against the recorded switches.

use std::collections::HashMap;
use std::fs;

use serde::{Deserialize, Serialize};
use tierscope_model::{Body, Event, Nanos, Off, Switch};

use super::outside::{Outside, Said};
use crate::check::{Check, Promise};

const RUN_QUEUE: Promise = Promise {
    name: "run_queue",
    bound: "within 2 % where no CPU is idle",
    includes: "theirs: schedstat's wait time of the app's backends; ours: woken (or preempted) → back on a \
               CPU, of the same threads. Theirs leaves out the wake of an idle CPU",
};
const SWITCHES: Promise = Promise {
    name: "switches",
    bound: "within 1 % where no CPU is idle",
    includes: "theirs: schedstat's time slices of the app's backends; ours: SWITCH events, one per return \
               to a CPU, of the same threads",
};
/// Where the CPUs idle more than this, schedstat and we measure different things.
const IDLE_SHARE: f64 = 0.1;
/// Clients that must be at work for the bounds to hold.
const BACKENDS: usize = 4;

/// One thread's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadTimes {
    /// The thread.
    pub tid: u32,
    /// On a CPU, ns.
    pub run_ns: u64,
    /// Runnable without one, ns.
    pub wait_ns: u64,
    /// Times it was given a CPU.
    pub slices: u64,
}

/// All CPUs' times, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTimes {
    /// Idle, waiting for disks included.
    pub idle: u64,
    /// All.
    pub total: u64,
}

impl CpuTimes {
    /// Of now.
    pub(crate) fn read() -> Said<CpuTimes> {
        let text = fs::read_to_string("/proc/stat").map_err(|e| format!("/proc/stat: {e}"))?;
        parse_cpus(&text).ok_or_else(|| "/proc/stat has no line of all CPUs".to_owned())
    }
}

/// `cpu user nice system idle iowait irq softirq steal …`; guests' times are in the first two.
fn parse_cpus(text: &str) -> Option<CpuTimes> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .map_while(|word| word.parse().ok())
        .collect();
    Some(CpuTimes {
        idle: ticks.get(3)? + ticks.get(4)?,
        total: ticks.iter().sum(),
    })
}

/// The threads of the backends that serve a client over TCP: children of PostgreSQL's process `server`.
pub(super) fn backends_of(server: u32) -> Said<Vec<ThreadTimes>> {
    let path = format!("/proc/{server}/task/{server}/children");
    let children = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    let pids = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    let backends: Vec<_> = pids
        .filter(|pid| serves_tcp(*pid))
        .filter_map(times)
        .collect();
    if backends.is_empty() {
        return Err("PostgreSQL has no backend that serves a client".to_owned());
    }
    Ok(backends)
}

/// A backend's title is `postgres: user database address(port) …`.
fn serves_tcp(pid: u32) -> bool {
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let title = String::from_utf8_lossy(&title);
    title.starts_with("postgres: ") && title.contains("127.0.0.1(")
}

/// A backend has one thread.
fn times(pid: u32) -> Option<ThreadTimes> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).ok()?;
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    Some(ThreadTimes {
        tid: pid,
        run_ns: words.next()??,
        wait_ns: words.next()??,
        slices: words.next()??,
    })
}

/// Both sides, summed over the backends.
#[derive(Debug)]
pub(super) struct RunQueue<'a> {
    outside: &'a Outside,
    /// Runnable time and returns to a CPU, also those of which no more is known, by thread.
    ours: HashMap<u32, (Nanos, u64)>,
    measured: bool,
}

impl<'a> RunQueue<'a> {
    pub(super) fn new(outside: &'a Outside) -> RunQueue<'a> {
        let both = both(&outside.threads_before, &outside.threads_after);
        let ours = both.iter().map(|(before, _)| (before.tid, (0, 0)));
        RunQueue {
            outside,
            ours: ours.collect(),
            measured: false,
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let Body::Switch(switch) = &event.body else {
            return;
        };
        self.measured = true;
        if let Some((ns, switches)) = self.ours.get_mut(&switch.tid) {
            *ns += runnable_since(switch).map_or(0, |since| event.time.since(since));
            *switches += 1 + u64::from(switch.unseen);
        }
    }

    pub(super) fn finish(self, lost: bool) -> Vec<Check> {
        let outside = self.outside;
        let both = both(&outside.threads_before, &outside.threads_after);
        let why = match (&outside.threads_before, &outside.threads_after) {
            _ if lost => Some("events were lost".to_owned()),
            (Err(reason), _) | (_, Err(reason)) => Some(reason.clone()),
            _ if !self.measured => {
                Some("the scheduler's events are not in the recording".to_owned())
            }
            _ if both.is_empty() => Some("no backend lived from start to end".to_owned()),
            _ => None,
        };
        if let Some(why) = why {
            return vec![
                RUN_QUEUE.not_checked(why.clone()),
                SWITCHES.not_checked(why),
            ];
        }
        let (wait, slices) = both.iter().fold((0, 0), |(wait, slices), (before, after)| {
            (
                wait + after.wait_ns.saturating_sub(before.wait_ns),
                slices + after.slices.saturating_sub(before.slices),
            )
        });
        let (ns, switches) = self
            .ours
            .values()
            .fold((0, 0), |(ns, n), (more, m)| (ns + more, n + m));
        let fit = unfit(&outside.cpus, both.len());
        vec![
            compare(
                RUN_QUEUE,
                &fit,
                0.02,
                (wait as f64 / 1e6, ns as f64 / 1e6),
                " ms",
            ),
            compare(SWITCHES, &fit, 0.01, (slices as f64, switches as f64), ""),
        ]
    }
}

/// Since when a thread that came to a CPU had been runnable.
fn runnable_since(switch: &Switch) -> Option<tierscope_model::Timestamp> {
    match switch.off {
        Off::Preempted => switch.off_at,
        _ => switch.woken_at,
    }
}

fn both(
    before: &Said<Vec<ThreadTimes>>,
    after: &Said<Vec<ThreadTimes>>,
) -> Vec<(ThreadTimes, ThreadTimes)> {
    let (Ok(before), Ok(after)) = (before, after) else {
        return Vec::new();
    };
    let same = |a: &ThreadTimes| after.iter().find(|b| b.tid == a.tid).map(|b| (*a, *b));
    before.iter().filter_map(same).collect()
}

/// Why the bounds are not for this run; none where they are.
fn unfit(cpus: &Said<(CpuTimes, CpuTimes)>, backends: usize) -> Option<String> {
    let (begin, end) = match cpus {
        Ok(times) => times,
        Err(reason) => return Some(reason.clone()),
    };
    let total = end.total.saturating_sub(begin.total).max(1);
    let idle = end.idle.saturating_sub(begin.idle) as f64 / total as f64;
    if idle > IDLE_SHARE {
        return Some(format!("CPUs idle {:.0} % of the time", 100.0 * idle));
    }
    (backends < BACKENDS).then(|| format!("{backends} backends"))
}

fn compare(
    promise: Promise,
    unfit: &Option<String>,
    share: f64,
    (theirs, ours): (f64, f64),
    unit: &str,
) -> Check {
    let off = (ours - theirs) / theirs.max(1.0);
    let value = format!(
        "theirs {theirs:.0}{unit}, ours {ours:.0}{unit} ({:+.2} %)",
        100.0 * off
    );
    let figures = [("theirs", theirs), ("ours", ours), ("off_share", off)];
    match unfit {
        Some(why) => promise.shown(why.clone(), value, &figures),
        None => promise.judged(off.abs() <= share, value, &figures),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_cpus_are_told() {
        let times = parse_cpus("cpu  10 0 20 60 5 1 4 0 0 0\ncpu0 1 2 3\n").expect("a line");
        assert_eq!((times.idle, times.total), (65, 100));
        let later = |idle, total| CpuTimes {
            idle: times.idle + idle,
            total: times.total + total,
        };
        assert!(unfit(&Ok((times, later(11, 100))), 16).is_some());
        assert!(unfit(&Ok((times, later(1, 100))), 3).is_some());
        assert!(unfit(&Ok((times, later(1, 100))), 4).is_none());
    }

    #[test]
    fn a_bound_is_kept_missed_or_not_meant() {
        let check = |unfit, ours| compare(RUN_QUEUE, &unfit, 0.02, (1000.0, ours), " ms");
        assert!(check(None, 1019.0).is_ok());
        assert!(!check(None, 979.0).is_ok());
        let shown = check(Some("CPUs idle".to_owned()), 1.0).verdict;
        assert!(matches!(shown, crate::check::Verdict::Shown(_)));
    }
}
