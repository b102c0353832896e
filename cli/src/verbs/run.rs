//! `tierscope run`: one experiment, from lab up to score.

use std::fmt::Write;
use std::path::PathBuf;

use tierscope_experiments::{
    Check, Experiment, Outcome, Progress, RECORDING, RunOptions, Score, TRACES, Verdict,
    run as run_experiment, waterfalls,
};
use tierscope_model::Sample;
use tierscope_report::render_tree;
use tierscope_tracer::Detail;

use super::record::detail;
use crate::exit::Done;
use crate::found::render_detection;
use crate::terminal::{print, print_json, tree_options};

/// Run an experiment: lab up, load, faults, record, assemble, show, score, check.
///
/// Ends with 1 where a check is missed that the experiment promises to pass (`expect`).
#[derive(clap::Args)]
pub struct Args {
    /// The experiment's file, e.g. experiments/slow-query.toml.
    experiment: PathBuf,
    /// Where the run's folder is made.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// How much to attach, in place of what the experiment says: `lean` or `full`.
    #[arg(long, value_name = "LEVEL", value_parser = detail())]
    detail: Option<Detail>,
    /// Record this share of the requests, above 0 and below 1, in place of what the experiment says.
    #[arg(long, value_name = "SHARE")]
    sample: Option<Sample>,
    /// What is normal: another run, or a file of `analyze --save-baseline`; several are merged. If left
    /// out, the run is compared with itself.
    #[arg(long, value_name = "RUN|FILE")]
    baseline: Vec<PathBuf>,
    /// Print the score as JSON instead.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let mut experiment = Experiment::read(&args.experiment)?;
    experiment.detail = args.detail.unwrap_or(experiment.detail);
    experiment.sample = args.sample.or(experiment.sample);
    let options = RunOptions {
        runs: args.runs.clone(),
        program: std::env::current_exe()?,
        command_line: std::env::args().collect(),
        progress: Progress::on_terminal(),
        baseline: args.baseline.clone(),
    };
    let outcome = run_experiment(&experiment, &options)?;
    if args.json {
        print_json(&outcome.score)?;
    } else {
        print(&story(&experiment, &outcome)?)?;
    }
    let broken = broken(&experiment, &outcome.score);
    if !broken.is_empty() {
        eprintln!(
            "tierscope: {} promised: {}",
            experiment.name,
            broken.join(", ")
        );
        return Ok(Done::Failed);
    }
    Ok(Done::Well)
}

/// The checks that the experiment promises to pass and that did not hold, or were not made.
fn broken(experiment: &Experiment, score: &Score) -> Vec<String> {
    let held = |name: &String| score.check(name).is_some_and(Check::is_ok);
    let expected = experiment.expect.iter();
    expected.filter(|name| !held(name)).cloned().collect()
}

fn story(experiment: &Experiment, outcome: &Outcome) -> anyhow::Result<String> {
    let mut text = String::new();
    for (word, trace) in [
        ("median", &outcome.pair.median),
        ("slow", &outcome.pair.slow),
    ] {
        writeln!(text, "A {word} {}:\n", trace.endpoint)?;
        writeln!(text, "{}", render_tree(trace, &tree_options()))?;
    }
    writeln!(text, "{}: {}", experiment.name, experiment.title)?;
    write_score(&mut text, outcome)?;
    write_checks(&mut text, &outcome.score.checks)?;
    if let Some(found) = &outcome.score.findings {
        write!(text, "\n{}", render_detection(found))?;
    }
    writeln!(text, "\n{}", outcome.closing)?;
    write_paths(&mut text, outcome)?;
    Ok(text)
}

fn write_score(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let score = &outcome.score;
    let difference = score.client_vs_trace_us;
    let mut row = |name: &str, value: String| writeln!(text, "  {name:<26}{value}");
    let share = 100.0 * score.complete_share();
    row(
        "complete",
        format!(
            "{} of {} requests ({share:.2} %)",
            score.complete, score.requests
        ),
    )?;
    for (reason, count) in &score.incomplete_by_reason {
        row("", format!("{count} × {reason}"))?;
    }
    row("mis-stitched", score.mis_stitched.to_string())?;
    row(
        "orphan spans",
        format!("{} of {}", score.orphan_spans, score.spans),
    )?;
    row("lost events", score.lost_events.to_string())?;
    row("unseen returns to a CPU", score.unseen_returns.to_string())?;
    row(
        "conservation violations",
        score.conservation_violations.to_string(),
    )?;
    row("negative durations", score.negative_durations.to_string())?;
    row(
        "client clock vs trace",
        format!("p50 {:.1} µs, p99 {:.1} µs", difference.p50, difference.p99),
    )?;
    row("faulty requests", outcome.faulty.to_string())
}

/// A line per check with its value, its bound and what came of it; below, what each side includes.
fn write_checks(text: &mut String, checks: &[Check]) -> std::fmt::Result {
    writeln!(text, "\nchecked against what others measured:")?;
    for check in checks {
        let (word, why) = match &check.verdict {
            Verdict::Ok => ("ok", ""),
            Verdict::Missed => ("missed", ""),
            Verdict::Shown(why) => ("shown", why.as_str()),
            Verdict::NotChecked(why) => ("not checked", why.as_str()),
        };
        let said: Vec<_> = [check.value.as_str(), why]
            .into_iter()
            .filter(|said| !said.is_empty())
            .collect();
        let (name, said) = (&check.name, said.join("; "));
        writeln!(
            text,
            "  {name:<20}{word:<12}{said} (bound: {})",
            check.bound
        )?;
        writeln!(text, "{:34}{}", "", check.includes)?;
    }
    Ok(())
}

fn write_paths(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let folder = &outcome.folder;
    writeln!(text, "\nwritten to {}:", folder.root().display())?;
    for path in waterfalls(folder) {
        writeln!(text, "  {}", path.display())?;
    }
    for name in [
        "score.json",
        "outside.json",
        TRACES,
        "client.jsonl",
        "truth.jsonl",
        "findings.json",
        RECORDING,
    ] {
        writeln!(text, "  {}", folder.path(name).display())?;
    }
    Ok(())
}
