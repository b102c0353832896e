//! What a run is judged by.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use tierscope_analyzer::{Findings, Judge};
use tierscope_experiments::{self as experiments, each_trace, judge_by_itself};
use tierscope_model::{Nanos, Trace};

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
        let mut normal = self.normal()?;
        each_trace(run, &mut |trace: Trace| normal.note(&trace))?;
        Ok(normal.judge())
    }

    /// What is found in the run where nothing else says what is normal; none where something does.
    pub fn by_itself(&self, run: &Path) -> anyhow::Result<Option<Findings>> {
        let window = self.window()?;
        let by_itself = self.baseline.is_empty();
        Ok(by_itself
            .then(|| judge_by_itself(run, window))
            .transpose()?)
    }

    /// A judge of traces that come one after the other.
    pub fn learning(&self) -> anyhow::Result<Judge> {
        Ok(self.normal()?.learning())
    }

    fn normal(&self) -> anyhow::Result<experiments::Normal> {
        let window = self.window()?;
        Ok(experiments::Normal::new(&self.baseline, window)?)
    }

    fn window(&self) -> anyhow::Result<Nanos> {
        let seconds = self.window;
        ensure!(
            seconds > 0.0 && seconds <= 86_400.0,
            "--window {seconds}: expected seconds, above 0 and at most a day"
        );
        Ok((seconds * 1e9) as u64)
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
