//! Faults that hold for a while: what makes them, and when.
//!
//! An injector is a file of its own here, a variant of [`Fault`], and a line in [`Fault::injector`].

mod backends;
mod busy_disk;
mod cache_emptied;
mod cgroup;
mod clock;
mod cold_cache;
mod cpu_hog;
mod cpu_quota;
mod hot_page;
mod joined;
mod limit;
mod lock_wait;
mod missing_index;
mod net;
mod nginx_stop;
#[cfg(test)]
mod owner;
mod pool_held;
mod process;
mod rate_limit;
mod schedule;
mod statement_log;
mod tail;
mod ticker;
mod undo;

use serde::{Deserialize, Serialize};
use tierscope_model::{Nanos, RequestId};
use tierscope_stack::{Lab, LabOptions};

use crate::error::Result;

pub use schedule::Held;
pub(crate) use schedule::{Alarm, hold, plan};

/// Makes one fault hold for a while, and undoes it. Dropped, it undoes it too.
pub(crate) trait Injector: Send {
    /// Makes it hold.
    fn begin(&mut self) -> Result<()>;
    /// Undoes it. What its own log shows of the mechanism at work since `begin`.
    fn end(&mut self) -> Result<Vec<Hit>>;
}

/// The mechanism at work, as the injector's own log has it. Times are CLOCK_MONOTONIC in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// From when it was at work.
    pub from_ns: u64,
    /// Until when.
    pub to_ns: u64,
    /// The one request that it met, where the injector knows; else whoever was under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The delay that it made, where the injector knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub magnitude_ns: Option<Nanos>,
    /// The ports of the clients that it could reach, where not all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<u16>,
    /// In words.
    pub what: String,
}

/// Where faults are injected.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The lab, which is up.
    pub(crate) lab: &'a Lab,
}

/// A kind of fault with what it needs: `[window.inject]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fault {
    /// Writers keep the lab's disk busy.
    BusyDisk(busy_disk::BusyDisk),
    /// A hog takes the app's CPU.
    CpuHog(cpu_hog::CpuHog),
    /// The app's CPU time is limited.
    CpuQuota(cpu_quota::CpuQuota),
    /// One of nginx's workers is stopped.
    NginxStop(nginx_stop::NginxStop),
    /// nginx holds requests that come too fast.
    RateLimit(rate_limit::RateLimit),
    /// Other sessions write to a page that the app writes to.
    HotPage(hot_page::HotPage),
    /// Another session holds rows.
    LockWait(lock_wait::LockWait),
    /// The planner does without an index.
    MissingIndex(missing_index::MissingIndex),
    /// Connections of the pool are held elsewhere.
    PoolHeld(pool_held::PoolHeld),
    /// The app's cache is emptied.
    CacheEmptied(cache_emptied::CacheEmptied),
    /// The database's pages are dropped from the kernel's cache.
    ColdCache(cold_cache::ColdCache),
    /// Packets come late, or leave late.
    PacketDelay(net::PacketDelay),
    /// Packets are lost on their way.
    PacketLoss(net::PacketLoss),
    /// Packets are refused by the sender's own host.
    SendFailure(net::SendFailure),
    /// A sender's device is slow.
    SlowLink(net::SlowLink),
    /// A sender's device delays by a fixed time.
    Netem(net::Netem),
}

impl Fault {
    /// What the lab must be told at its start for it.
    pub(crate) fn prepare(&self, lab: &mut LabOptions) {
        if let Fault::RateLimit(fault) = self {
            fault.prepare(lab);
        }
    }

    /// What makes it. Whatever can be told before the load begins is told here: what this host cannot
    /// do is [`crate::Error::Refused`].
    fn injector<'a>(&self, site: Site<'a>) -> Result<Box<dyn Injector + 'a>> {
        match self {
            Fault::BusyDisk(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::CpuHog(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::CpuQuota(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::NginxStop(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::RateLimit(fault) => Ok(Box::new(fault.injector(site))),
            Fault::HotPage(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::LockWait(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::MissingIndex(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::PoolHeld(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::CacheEmptied(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::ColdCache(fault) => Ok(Box::new(fault.injector(site)?)),
            Fault::PacketDelay(fault) => fault.injector(site),
            Fault::PacketLoss(fault) => fault.injector(site),
            Fault::SendFailure(fault) => fault.injector(site),
            Fault::SlowLink(fault) => fault.injector(site),
            Fault::Netem(fault) => fault.injector(site),
        }
    }

    /// Its name, as `kind` has it.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::BusyDisk(_) => "busy-disk",
            Fault::CpuHog(_) => "cpu-hog",
            Fault::CpuQuota(_) => "cpu-quota",
            Fault::NginxStop(_) => "nginx-stop",
            Fault::RateLimit(_) => "rate-limit",
            Fault::HotPage(_) => "hot-page",
            Fault::LockWait(_) => "lock-wait",
            Fault::MissingIndex(_) => "missing-index",
            Fault::PoolHeld(_) => "pool-held",
            Fault::CacheEmptied(_) => "cache-emptied",
            Fault::ColdCache(_) => "cold-cache",
            Fault::PacketDelay(_) => "packet-delay",
            Fault::PacketLoss(_) => "packet-loss",
            Fault::SendFailure(_) => "send-failure",
            Fault::SlowLink(_) => "slow-link",
            Fault::Netem(_) => "netem",
        }
    }
}
