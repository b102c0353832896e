//! `tierscope analyze`: what is not normal in a run, why, and what it cost.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tierscope_analyzer::{Baseline, Findings, Tally, Verdict};
use tierscope_experiments::{each_trace, normal_of, write_json};
use tierscope_model::Trace;
use tierscope_report::render_findings;

use crate::exit::Done;
use crate::follow::follow;
use crate::normal::Normal;
use crate::select::newest_run;
use crate::terminal::{print, print_json};

/// Find what is not normal in a run: what it was, what it cost, and what it was compared with.
///
/// Without a baseline a run is compared with itself: what lies apart from all the rest is found. In a run
/// folder the findings are kept as findings.json.
#[derive(clap::Args)]
pub struct Args {
    /// A run folder, a traces.jsonl, or a recording (.tsrec); the newest run in ./runs if left out.
    run: Option<PathBuf>,
    #[command(flatten)]
    normal: Normal,
    /// Keep what is normal of this run, requests with findings left out.
    #[arg(long, value_name = "FILE")]
    save_baseline: Option<PathBuf>,
    /// Read a recording as it is written, and print what is found as it comes, until the recording ends or
    /// Ctrl-C. Without a baseline it learns as it goes; what lasts for a minute becomes normal.
    #[arg(long)]
    follow: bool,
    /// Print the findings as JSON instead.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let run = args.run.clone().map_or_else(newest_run, Ok)?;
    if args.follow {
        let (findings, normal) = follow(&run, args.normal.learning()?, args.json)?;
        return conclude(args, &run, &findings, &normal);
    }
    if args.save_baseline.is_none()
        && let Some(findings) = args.normal.by_itself(&run)?
    {
        return conclude(args, &run, &findings, &Baseline::new());
    }
    let mut judge = args.normal.judge(&run)?;
    let mut tally = Tally::default();
    let mut flagged = HashSet::new();
    each_trace(&run, &mut |trace: Trace| {
        let verdict = judge.judge(&trace);
        if matches!(verdict, Verdict::Flagged(_)) {
            flagged.insert(trace.trace_id);
        }
        tally.add(&trace.endpoint, verdict);
    })?;
    let findings = judge.conclude(tally);
    let kept = match args.save_baseline {
        Some(_) => normal_of(&run, &mut judge, &flagged)?,
        None => Baseline::new(),
    };
    conclude(args, &run, &findings, &kept)
}

fn conclude(
    args: &Args,
    run: &Path,
    findings: &Findings,
    normal: &Baseline,
) -> anyhow::Result<Done> {
    if let Some(path) = &args.save_baseline {
        write_json(path, normal)?;
    }
    if run.is_dir() {
        write_json(&run.join("findings.json"), findings)?;
    }
    match args.json {
        true => print_json(findings)?,
        false => print(&render_findings(findings))?,
    }
    Ok(Done::Well)
}
