//! A CPU quota on the app: when it is used up, the app stands still until the next period.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tierscope_stack::Role;

use super::cgroup::Cgroup;
use super::joined::joined;
use super::limit::Limit;
use super::{Hit, Injector, Site, clock::now, process};
use crate::error::{Error, Result};

/// How often it is looked for how long the app was throttled.
const LOOK: Duration = Duration::from_millis(2);
/// What is told at least.
const SHORTEST: Duration = Duration::from_millis(1);

/// How much CPU time the app may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CpuQuota {
    /// Microseconds of CPU time, on all CPUs together, …
    quota_us: u32,
    /// … in each period of so many microseconds.
    period_us: u32,
}

impl CpuQuota {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Quota> {
        Quota::on(process::of_tier(site, Role::App)?, self)
    }
}

/// Puts a process into a control group of its own, and back.
#[derive(Debug)]
pub(super) struct Quota {
    victim: u32,
    cgroup: Arc<Cgroup>,
    watch: Option<Watch>,
}

impl Quota {
    fn on(victim: u32, fault: &CpuQuota) -> Result<Quota> {
        let micros = |us: u32| Duration::from_micros(us.into());
        let limit = Limit::Cpu {
            quota: micros(fault.quota_us),
            period: micros(fault.period_us),
        };
        let cgroup = Cgroup::new(victim, limit)?;
        Ok(Quota {
            victim,
            cgroup: Arc::new(cgroup),
            watch: None,
        })
    }
}

impl Injector for Quota {
    fn begin(&mut self) -> Result<()> {
        self.watch = Some(Watch::start(self.cgroup.clone()));
        self.cgroup.take(self.victim).map_err(failed)
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(watch) = self.watch.take() else {
            return Ok(Vec::new());
        };
        // What throttles it now ends with that, and is counted then.
        let back = self.cgroup.give_back(self.victim).map_err(failed);
        let hits = watch.stop();
        back.map(|()| hits)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`.
        let _ = self.end();
    }
}

/// Looks how the kernel's count of throttled time grows.
#[derive(Debug)]
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Hit>>,
}

impl Watch {
    fn start(cgroup: Arc<Cgroup>) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let thread = thread::spawn(move || {
            let mut hits = Vec::new();
            let mut before = cgroup.throttled().unwrap_or_default();
            loop {
                let last = told.load(Ordering::Relaxed);
                thread::sleep(LOOK);
                let count = cgroup.throttled().unwrap_or(before);
                hits.extend(hit(now(), count.saturating_sub(before)));
                before = count;
                if last {
                    return hits;
                }
            }
        });
        Watch { over, thread }
    }

    fn stop(self) -> Vec<Hit> {
        self.over.store(true, Ordering::Relaxed);
        joined(self.thread.join())
    }
}

/// The throttling that ended by `to_ns`. The kernel sums over CPUs, on which it ends at once: the shares
/// are taken for equal, so that no more is told than was.
fn hit(to_ns: u64, throttled: Duration) -> Option<Hit> {
    let cpus = thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    let least = throttled.as_nanos() as u64 / cpus;
    (throttled >= SHORTEST).then(|| Hit {
        from_ns: to_ns.saturating_sub(least),
        to_ns,
        request: None,
        magnitude_ns: None,
        clients: Vec::new(),
        what: format!(
            "throttled for {:.1} ms, all CPUs together",
            throttled.as_secs_f64() * 1e3
        ),
    })
}

fn failed(error: std::io::Error) -> Error {
    Error::Inject {
        fault: "cpu-quota",
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::owner::{self, Victim, memberships};

    const LITTLE: CpuQuota = CpuQuota {
        quota_us: 2_000,
        period_us: 50_000,
    };

    #[test]
    fn its_victim_is_throttled_and_goes_back_to_where_it_was() {
        let victim = Victim::busy();
        let pid = victim.pid();
        let before = memberships(pid);
        let mut quota = match Quota::on(pid, &LITTLE) {
            Err(Error::Refused { reason, .. }) => {
                return println!("skipped: {reason}");
            }
            quota => quota.expect("a quota"),
        };
        quota.begin().expect("it holds");
        assert!(memberships(pid).contains("tierscope-"));
        thread::sleep(Duration::from_millis(300));
        let hits = quota.end().expect("undone");
        assert_eq!(memberships(pid), before);
        let sum: u64 = hits.iter().map(|hit| hit.to_ns - hit.from_ns).sum();
        assert!(hits.len() >= 2 && sum > 30_000_000, "{hits:?}");
        let dir = quota.cgroup.dir().to_path_buf();
        drop(quota);
        assert!(!dir.exists(), "{dir:?}");
    }

    #[test]
    fn it_is_undone_when_its_owner_is_killed() {
        let victim = Victim::asleep();
        let pid = victim.pid();
        let before = memberships(pid);
        if let Err(Error::Refused { reason, .. }) = Quota::on(pid, &LITTLE) {
            println!("skipped: {reason}");
        } else {
            owner::killed("cpu_quota::tests::quota", pid);
            owner::until("it is back", || memberships(pid) == before);
        }
    }

    #[test]
    #[ignore = "the owner that the test above kills"]
    fn quota() {
        owner::hold(|victim| Ok(Box::new(Quota::on(victim, &LITTLE)?)));
    }
}
