//! `tierscope run`: one experiment, from lab up to score.

use std::fmt::Write;
use std::path::PathBuf;

use tierscope_experiments::{
    Experiment, Outcome, Progress, RunOptions, run as run_experiment, waterfalls,
};
use tierscope_report::render_tree;

use crate::exit::Done;
use crate::terminal::{print, print_json, tree_options};

/// Run an experiment: lab up, load, faults, record, assemble, show, score.
#[derive(clap::Args)]
pub struct Args {
    /// The experiment's file, e.g. experiments/slow-query.toml.
    experiment: PathBuf,
    /// Where the run's folder is made.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Print the score as JSON instead.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let experiment = Experiment::read(&args.experiment)?;
    let options = RunOptions {
        runs: args.runs.clone(),
        program: std::env::current_exe()?,
        command_line: std::env::args().collect(),
        progress: Progress::on_terminal(),
    };
    let outcome = run_experiment(&experiment, &options)?;
    if args.json {
        print_json(&outcome.score)?;
    } else {
        print(&story(&experiment, &outcome)?)?;
    }
    Ok(Done::Well)
}

fn story(experiment: &Experiment, outcome: &Outcome) -> anyhow::Result<String> {
    let mut text = String::new();
    for (word, trace) in [
        ("typical", &outcome.pair.typical),
        ("slow", &outcome.pair.slow),
    ] {
        writeln!(text, "A {word} {}:\n", trace.endpoint)?;
        writeln!(text, "{}", render_tree(trace, &tree_options()))?;
    }
    writeln!(text, "{}: {}", experiment.name, experiment.title)?;
    write_score(&mut text, outcome)?;
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

fn write_paths(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let folder = &outcome.folder;
    writeln!(text, "\nwritten to {}:", folder.root().display())?;
    for path in waterfalls(folder) {
        writeln!(text, "  {}", path.display())?;
    }
    for name in [
        "score.json",
        "traces.jsonl",
        "client.jsonl",
        "truth.jsonl",
        "recording.tsrec",
    ] {
        writeln!(text, "  {}", folder.path(name).display())?;
    }
    Ok(())
}
