//! What one run came to.

use std::collections::BTreeMap;

use serde::Serialize;

/// One run of one arm under one load.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Requests sent.
    pub requests: u64,
    /// Complete answers per second.
    pub rate: f64,
    /// Median latency (ns), from the intended send time.
    pub p50_ns: u64,
    /// 99th percentile of the same.
    pub p99_ns: u64,
    /// Requests without a good answer, by kind.
    pub errors: BTreeMap<String, u64>,
    /// CPU time of each process tree of the stack during the load (ns).
    pub stack_cpu_ns: BTreeMap<String, u64>,
    /// What traced meanwhile; none where nothing did.
    pub tracer: Option<TracerCost>,
}

/// What the processes cost that traced, or that took what was traced.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TracerCost {
    /// Their CPU time during the load (ns).
    pub cpu_ns: u64,
    /// Largest resident size of the one that holds the ring (VmHWM, bytes).
    pub peak_rss_bytes: u64,
    /// Written to a file, to a pipe, or to the collector.
    pub bytes: u64,
    /// Records per kind.
    pub records: BTreeMap<String, u64>,
    /// Events lost, per program.
    pub lost: BTreeMap<String, u64>,
    /// Events left out in the kernel, per reason.
    pub filtered: BTreeMap<String, u64>,
}

impl Sample {
    /// CPU time of the whole stack per request (µs).
    pub fn stack_us(&self) -> f64 {
        per_request(self.stack_cpu_ns.values().sum(), self.requests)
    }

    /// CPU time of one of its process trees per request (µs).
    pub fn tier_us(&self, tier: &str) -> f64 {
        let ns = self.stack_cpu_ns.get(tier).copied().unwrap_or(0);
        per_request(ns, self.requests)
    }

    /// CPU time of what traced per request (µs).
    pub fn tracer_us(&self) -> f64 {
        let ns = self.tracer.as_ref().map_or(0, |tracer| tracer.cpu_ns);
        per_request(ns, self.requests)
    }
}

impl TracerCost {
    /// Events that left the kernel.
    pub fn kept(&self) -> u64 {
        // These are made in user space.
        let own = ["loss", "filtered", "stack"];
        let from_kernel = self
            .records
            .iter()
            .filter(|(kind, _)| !own.contains(&kind.as_str()));
        from_kernel.map(|(_, count)| count).sum()
    }

    /// Events that were left out in the kernel.
    pub fn left_out(&self) -> u64 {
        self.filtered.values().sum()
    }

    /// Events that found no room.
    pub fn lost(&self) -> u64 {
        self.lost.values().sum()
    }
}

fn per_request(ns: u64, requests: u64) -> f64 {
    ns as f64 / 1000.0 / requests.max(1) as f64
}
