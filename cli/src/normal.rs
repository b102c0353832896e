//! What a run is judged by.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use tierscope_analyzer::Judge;
use tierscope_experiments::{self as experiments, each_trace};
use tierscope_model::Trace;

/// Where it is known from what is normal, and how changes are looked for.
#[derive(clap::Args)]
pub struct Normal {
    /// What is normal: another run, or a file of `--save-baseline`; several are merged.
    #[arg(long, value_name = "RUN|FILE")]
    baseline: Vec<PathBuf>,
    /// Length of the windows in which changes are looked for.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    window: f64,
}

impl Normal {
    /// The judge that the run is to be judged by, told who was on a CPU meanwhile.
    pub fn judge(&self, run: &Path) -> anyhow::Result<Judge> {
        let seconds = self.window;
        ensure!(
            seconds > 0.0 && seconds <= 86_400.0,
            "--window {seconds}: expected seconds, above 0 and at most a day"
        );
        let mut normal = experiments::Normal::new(&self.baseline, (seconds * 1e9) as u64)?;
        each_trace(run, &mut |trace: Trace| normal.note(&trace))?;
        Ok(normal.judge())
    }
}

impl fmt::Display for Normal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut named = self.baseline.iter().map(|path| path.display());
        match named.next() {
            None => f.write_str("what most requests of the run itself did"),
            Some(first) => {
                write!(f, "{first}")?;
                named.try_for_each(|next| write!(f, ", {next}"))
            }
        }
    }
}
