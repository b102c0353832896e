//! What a run is judged by.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use tierscope_analyzer::{Baseline, Judge, Others};
use tierscope_model::{Nanos, Trace};

use crate::error::{Error, Result};
use crate::traces::{each_trace, holds_traces};

/// A judge in the making: it takes a first look at all traces that it is to judge.
#[derive(Debug)]
pub struct Normal {
    baseline: Baseline,
    by_itself: bool,
    others: Others,
    window: Nanos,
}

impl Normal {
    /// What is normal is told by other runs and kept baselines, all merged, or where there is none by
    /// the traces themselves. `window`: length of the windows in which changes are looked for.
    ///
    /// # Errors
    /// A source cannot be read or is none.
    pub fn new(sources: &[PathBuf], window: Nanos) -> Result<Normal> {
        Ok(Normal {
            baseline: merged(sources)?,
            by_itself: sources.is_empty(),
            others: Others::default(),
            window,
        })
    }

    /// Takes a first look at a trace.
    pub fn note(&mut self, trace: &Trace) {
        self.others.note(trace);
        if self.by_itself {
            self.baseline.learn(trace);
        }
    }

    /// A judge of traces that come one after the other: it learns as it goes.
    pub fn learning(self) -> Judge {
        Judge::new(self.baseline)
            .with_windows(self.window)
            .learning()
    }

    /// The judge, when all were looked at.
    pub fn judge(self) -> Judge {
        let judge = match self.by_itself {
            true => Judge::of_same(self.baseline),
            false => Judge::new(self.baseline),
        };
        judge.knowing(self.others).with_windows(self.window)
    }
}

fn merged(sources: &[PathBuf]) -> Result<Baseline> {
    let mut all = Baseline::new();
    for source in sources {
        let one = match holds_traces(source) {
            true => learn(source)?,
            false => load(source)?,
        };
        all.merge(&one);
    }
    Ok(all)
}

fn learn(run: &Path) -> Result<Baseline> {
    let mut baseline = Baseline::new();
    each_trace(run, &mut |trace: Trace| baseline.learn(&trace))?;
    Ok(baseline)
}

fn load(path: &Path) -> Result<Baseline> {
    let wrong = |reason: String| Error::Baseline {
        path: path.into(),
        reason,
    };
    let file = File::open(path).map_err(|e| wrong(e.to_string()))?;
    let read: std::result::Result<Baseline, _> = serde_json::from_reader(BufReader::new(file));
    let baseline = read.map_err(|e| wrong(e.to_string()))?;
    baseline.checked().map_err(|e| wrong(e.to_string()))
}
