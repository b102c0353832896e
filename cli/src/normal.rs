//! What a run is judged by.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tierscope_analyzer::{Baseline, Busy, Judge};
use tierscope_model::Trace;

use crate::select::{is_traces, read};

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
        let mut busy = Busy::default();
        let mut own = Baseline::new();
        let by_itself = self.baseline.is_empty();
        read(run, &mut |trace: Trace| {
            busy.note(&trace);
            if by_itself {
                own.learn(&trace);
            }
        })?;
        let judge = match by_itself {
            true => Judge::of_same(own),
            false => Judge::new(merged(&self.baseline)?),
        };
        Ok(judge.knowing(busy).with_windows((seconds * 1e9) as u64))
    }
}

fn merged(sources: &[PathBuf]) -> anyhow::Result<Baseline> {
    let mut all = Baseline::new();
    for source in sources {
        let one = match source.is_dir() || is_traces(source) {
            true => learn(source)?,
            false => load(source)?,
        };
        all.merge(&one);
    }
    Ok(all)
}

fn learn(run: &Path) -> anyhow::Result<Baseline> {
    let mut baseline = Baseline::new();
    read(run, &mut |trace: Trace| baseline.learn(&trace))?;
    Ok(baseline)
}

fn load(path: &Path) -> anyhow::Result<Baseline> {
    let named = || format!("cannot read the baseline {}", path.display());
    let file = std::fs::File::open(path).with_context(named)?;
    let file = std::io::BufReader::new(file);
    let baseline: Baseline = serde_json::from_reader(file).with_context(named)?;
    baseline.checked().with_context(named)
}
