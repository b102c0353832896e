//! All that was measured, and where it goes.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use tierscope_tracer::Detail;

use crate::{
    compare::Runs,
    hits::Hits,
    load::{Load, Pace},
    neighbour::Neighbour,
    plan::{Level, Plan},
    programs::Programs,
    progress::{Phase, Progress},
    stand::Stand,
    svg,
    targets::{self, Target},
};

/// A whole measurement.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Kernel release.
    pub kernel: String,
    /// CPUs.
    pub cpus: usize,
    /// The interleaved runs.
    pub runs: Runs,
    /// What the BPF programs cost, everything attached.
    pub full: Programs,
    /// The same without PostgreSQL's probes and files.
    pub lean: Programs,
    /// What a hit of a probe costs.
    pub hits: Hits,
    /// What was filtered on a busy host.
    pub neighbour: Neighbour,
    /// What should be reached.
    pub targets: Vec<Target>,
}

impl Outcome {
    /// Measures everything.
    pub fn measure(stand: &Stand, plan: &Plan, progress: &Progress) -> anyhow::Result<Self> {
        let runs = Runs::measure(stand, plan, progress)?;
        let seconds = plan.seconds(Level::Half);
        let load = Load {
            pace: Pace::Rate((runs.saturation / 2.0).round()),
            seconds,
            seed: 1,
        };
        let times = plan.pairs.div_ceil(2);
        let programs = |detail| Programs::measure(&stand.plain, &load, detail, times, progress);
        progress.phase(Phase::Programs);
        let (full, lean) = (programs(Detail::Full)?, programs(Detail::Lean)?);
        progress.phase(Phase::Hits);
        let hits = Hits::measure(plan.pairs, plan.hits, progress)?;
        progress.phase(Phase::Neighbour);
        let neighbour = Neighbour::measure(stand, seconds)?;
        let targets = targets::judge(&runs, &full);
        Ok(Self {
            kernel: kernel()?,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            runs,
            full,
            lean,
            hits,
            neighbour,
            targets,
        })
    }

    /// Writes `overhead.json`, `overhead.txt` and `overhead.svg`.
    pub fn write(&self, dir: &Path, text: &str) -> anyhow::Result<()> {
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        write("overhead.json", &serde_json::to_string_pretty(self)?)?;
        write("overhead.txt", text)?;
        write("overhead.svg", &svg::draw(&self.runs)?)
    }
}

fn kernel() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("cannot tell the kernel's release: is /proc mounted?")?;
    Ok(text.trim().to_owned())
}
