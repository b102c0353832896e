//! How fast a recording is assembled and analyzed on one core, and in how much memory as it grows ten-fold.
//! Prints one line per target, and exits 1 where one is missed.
//!
//! The longer recordings are a real one, repeated: the same requests at later times on other sockets.

mod again;
mod cost;
mod repeat;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

use crate::cost::Cost;
use crate::repeat::Made;

/// As in tierscope itself.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How often the recording is repeated.
const SIZES: [u64; 3] = [1, 3, 10];
/// Events assembled, and spans analyzed, in a second of one core.
const EVENTS: f64 = 1_000_000.0;
const SPANS: f64 = 200_000.0;
/// Memory is flat where ten times the recording takes no more than this much of it.
const FLAT: f64 = 1.25;

/// What is recorded where no recording is given.
const LOAD: &str = r#"
name = "bench-analyze"
title = "what is assembled and analyzed"

[load]
rate = 300
duration_s = 20
connections = 32
seed = 6
"#;

/// Measure how fast recordings are assembled and analyzed, and say which targets are reached.
#[derive(Parser)]
struct Cli {
    /// The recording; without it the lab is run under load and recorded, as root.
    #[arg(long, value_name = "FILE")]
    recording: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The processes that a measurement is made of; started by the benchmark itself.
#[derive(Subcommand)]
#[command(hide = true)]
enum Part {
    /// Assembles a recording, repeated, and writes its traces where that is asked for.
    Assemble {
        recording: PathBuf,
        times: u64,
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Runs a command and says what it cost.
    Measure { command: Vec<String> },
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.part {
        None => return measure(cli.recording),
        Some(Part::Assemble {
            recording,
            times,
            out,
        }) => repeat::run(&recording, times, out.as_deref())?,
        Some(Part::Measure { command }) => cost::run(&command)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What one size took.
struct Size {
    times: u64,
    made: Made,
    assemble: Cost,
    analyze: Cost,
}

fn measure(recording: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let dir = tempfile::Builder::new()
        .prefix("tierscope-bench-analyze-")
        .tempdir_in("/var/tmp")?;
    let recording = match recording {
        Some(recording) => recording,
        None => record(dir.path())?,
    };
    let sizes = SIZES
        .iter()
        .map(|times| size(&recording, *times, dir.path()));
    let sizes: Vec<Size> = sizes.collect::<anyhow::Result<_>>()?;
    for size in &sizes {
        println!("{}", line(size));
    }
    let reached = targets(&sizes);
    Ok(ExitCode::from(u8::from(!reached)))
}

/// Runs the lab under load, and gives its recording.
fn record(dir: &Path) -> anyhow::Result<PathBuf> {
    let experiment = dir.join("bench-analyze.toml");
    std::fs::write(&experiment, LOAD)?;
    let mut run = Command::new(beside("tierscope")?);
    run.arg("run").arg(&experiment).arg("--runs").arg(dir);
    let status = run.stdout(Stdio::null()).status()?;
    ensure!(status.success(), "tierscope run: {status}");
    let folders = std::fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let mut recordings = folders.map(|folder| folder.join("recording.tsrec"));
    recordings
        .find(|path| path.exists())
        .context("the run left no recording")
}

fn size(recording: &Path, times: u64, dir: &Path) -> anyhow::Result<Size> {
    let this = std::env::current_exe()?.display().to_string();
    let (file, n) = (recording.display().to_string(), times.to_string());
    let traces = dir.join("traces.jsonl").display().to_string();
    let assemble = [this.as_str(), "assemble", &file, &n];
    let (assemble, said) = Cost::of(&assemble)?;
    Cost::of(&[this.as_str(), "assemble", &file, &n, "--out", &traces])?;
    let tierscope = beside("tierscope")?.display().to_string();
    let (analyze, _) = Cost::of(&[tierscope.as_str(), "analyze", &traces, "--json"])?;
    Ok(Size {
        times,
        made: serde_json::from_str(&said).context("what the assembling said")?,
        assemble,
        analyze,
    })
}

/// A program that was built with this one.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}

fn line(size: &Size) -> String {
    let Size {
        times,
        made,
        assemble,
        analyze,
    } = size;
    format!(
        "{times:>3}×  {:>9} events, {:>9} spans   assembled in {:.2} s of a core, {} MiB   analyzed in {:.2} s, {} MiB",
        made.events,
        made.spans,
        assemble.seconds(),
        assemble.peak_kib >> 10,
        analyze.seconds(),
        analyze.peak_kib >> 10,
    )
}

/// Prints the targets; true where all are reached.
fn targets(sizes: &[Size]) -> bool {
    let (Some(first), Some(last)) = (sizes.first(), sizes.last()) else {
        return false;
    };
    let events = last.made.events as f64 / last.assemble.seconds();
    let spans = last.made.spans as f64 / last.analyze.seconds();
    let growth =
        |cost: fn(&Size) -> &Cost| cost(last).peak_kib as f64 / cost(first).peak_kib as f64;
    let (assemble, analyze) = (growth(|s| &s.assemble), growth(|s| &s.analyze));
    let times = |growth: f64| format!("{growth:.2} times");
    let all = [
        (
            events >= EVENTS,
            "assemble 1,000,000 events/s on one core",
            format!("{events:.0}"),
        ),
        (
            spans >= SPANS,
            "analyze 200,000 spans/s on one core",
            format!("{spans:.0}"),
        ),
        (
            assemble <= FLAT,
            "assembling ten times as much takes as much memory",
            times(assemble),
        ),
        (
            analyze <= FLAT,
            "analyzing ten times as much takes as much memory",
            times(analyze),
        ),
    ];
    for (reached, promise, measured) in &all {
        let verdict = if *reached { "reached" } else { "MISSED " };
        println!("{verdict}  {promise:<52} {measured}");
    }
    all.iter().all(|(reached, ..)| *reached)
}
