//! `tierscope analyze`: what is not normal in a run, why, and what it cost.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;
use tierscope_analyzer::{Baseline, Busy, Judge, Tally, Verdict};
use tierscope_experiments::private_file;
use tierscope_model::Trace;
use tierscope_report::render_findings;

use crate::exit::Done;
use crate::select::{is_traces, newest_run, read};
use crate::terminal::{print, print_json};

/// Find what is not normal in a run: what it was, what it cost, and what it was compared with.
///
/// Without a baseline a run is compared with itself: what lies apart from all the rest is found. In a run
/// folder the findings are kept as findings.json.
#[derive(clap::Args)]
pub struct Args {
    /// A run folder, a traces.jsonl, or a recording (.tsrec); the newest run in ./runs if left out.
    run: Option<PathBuf>,
    /// What is normal: another run, or a file of `--save-baseline`; several are merged.
    #[arg(long, value_name = "RUN|FILE")]
    baseline: Vec<PathBuf>,
    /// Keep what is normal of this run, requests with findings left out.
    #[arg(long, value_name = "FILE")]
    save_baseline: Option<PathBuf>,
    /// Length of the windows in which changes are looked for.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    window: f64,
    /// Print the findings as JSON instead.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let run = args.run.clone().map_or_else(newest_run, Ok)?;
    let mut judge = judge(args, &run)?;
    let mut tally = Tally::default();
    let mut kept = Baseline::new();
    read(&run, &mut |trace: Trace| {
        let verdict = judge.judge(&trace);
        if args.save_baseline.is_some() && !matches!(verdict, Verdict::Flagged(_)) {
            kept.learn(&trace);
        }
        tally.add(&trace.endpoint, verdict);
    })?;
    let findings = tally.finish(judge.changes());
    if let Some(path) = &args.save_baseline {
        write_json(path, &kept)?;
    }
    if run.is_dir() {
        write_json(&run.join("findings.json"), &findings)?;
    }
    match args.json {
        true => print_json(&findings)?,
        false => print(&render_findings(&findings))?,
    }
    Ok(Done::Well)
}

/// The judge that the run is to be judged by, told who was on a CPU meanwhile.
fn judge(args: &Args, run: &Path) -> anyhow::Result<Judge> {
    let seconds = args.window;
    ensure!(
        seconds > 0.0 && seconds <= 86_400.0,
        "--window {seconds}: expected seconds, above 0 and at most a day"
    );
    let mut busy = Busy::default();
    let mut own = Baseline::new();
    let by_itself = args.baseline.is_empty();
    read(run, &mut |trace: Trace| {
        busy.note(&trace);
        if by_itself {
            own.learn(&trace);
        }
    })?;
    let judge = match by_itself {
        true => Judge::of_same(own),
        false => Judge::new(merged(&args.baseline)?),
    };
    Ok(judge.knowing(busy).with_windows((seconds * 1e9) as u64))
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

fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(private_file(path)?);
    let written = serde_json::to_writer(&mut file, value).map_err(std::io::Error::from);
    written
        .and_then(|()| file.flush())
        .with_context(|| format!("cannot write {}", path.display()))
}
