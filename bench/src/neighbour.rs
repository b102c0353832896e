//! How much of what the hooks see leaves the kernel on a host that is busy with something else: the traced
//! lab at a modest rate beside an untraced one at saturation.

use serde::Serialize;

use crate::{
    load::{self, Load, Pace},
    recording::Recording,
    sample::TracerCost,
    stand::Stand,
};

/// Requests per second of the traced lab.
pub const RATE: f64 = 50.0;

/// What was seen meanwhile.
#[derive(Clone, Debug, Serialize)]
pub struct Neighbour {
    /// Requests of the traced lab.
    pub requests: u64,
    /// Requests of the untraced one.
    pub others: u64,
    /// What tracing came to.
    pub tracer: TracerCost,
}

impl Neighbour {
    /// Loads both labs for `seconds`.
    pub fn measure(stand: &Stand, seconds: f64) -> anyhow::Result<Self> {
        let load = |pace| Load {
            pace,
            seconds,
            seed: 1,
        };
        let recording = Recording::of_lab(stand.plain.dir(), &[])?;
        let others = load(Pace::Closed).start(stand.beside.nginx_addr()?)?;
        let traced = load(Pace::Rate(RATE)).run(stand.plain.nginx_addr()?)?;
        let others = load::summary(others)?;
        let tracer = recording.finish()?;
        Ok(Self {
            requests: traced.total.sent,
            others: others.total.sent,
            tracer,
        })
    }

    /// Which share of what the hooks saw never left the kernel.
    pub fn share(&self) -> f64 {
        let left_out = self.tracer.left_out() as f64;
        let seen = left_out + (self.tracer.kept() + self.tracer.lost()) as f64;
        left_out / seen.max(1.0)
    }
}
