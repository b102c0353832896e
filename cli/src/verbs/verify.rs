//! `tierscope verify`: every experiment whose findings are scored, and whether the promises are kept.

use std::path::PathBuf;

use serde::Serialize;
use tierscope_experiments::{
    Progress, Row, RowOutcome, RunOptions, SuitePromise, promises, suite, verify as run_all,
};

use crate::exit::Done;
use crate::found::{FAULTS, write_detection};
use crate::terminal::{print, print_json};

/// Run all experiments whose findings are scored: a table of what was injected and what was found.
///
/// Ends with 1 where a promise is broken. An experiment that this host cannot do is named.
#[derive(clap::Args)]
pub struct Args {
    /// The folder of experiments.
    #[arg(default_value = "experiments")]
    folder: PathBuf,
    /// Only the short ones, in the folder's `quick`: about a minute.
    #[arg(long)]
    quick: bool,
    /// Where the runs' folders are made.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Print all scores as JSON instead.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct All {
    experiments: Vec<Row>,
    promises: Vec<SuitePromise>,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let folder = match args.quick {
        true => args.folder.join("quick"),
        false => args.folder.clone(),
    };
    let experiments = suite(&folder)?;
    let options = RunOptions {
        runs: args.runs.clone(),
        program: std::env::current_exe()?,
        command_line: std::env::args().collect(),
        progress: Progress::on_terminal(),
        baseline: Vec::new(),
    };
    if !args.json {
        print(&format!("{:<27}{FAULTS}\n", "experiment"))?;
    }
    let rows = run_all(&experiments, &options, &mut |row: &Row| match args.json {
        true => Ok(()),
        false => print(&line(row)),
    })?;
    let promises = promises(&rows);
    let kept = promises.iter().all(|promise| promise.kept);
    match args.json {
        true => print_json(&All {
            experiments: rows,
            promises,
        })?,
        false => print(&ending(&promises))?,
    }
    Ok(if kept { Done::Well } else { Done::Failed })
}

fn line(row: &Row) -> String {
    let name = &row.name;
    match &row.outcome {
        RowOutcome::Refused(why) => format!("{name:<27}cannot be done here: {why}\n"),
        RowOutcome::Failed(why) => format!("{name:<27}failed: {why}\n"),
        RowOutcome::Scored(detection) => write_detection(name, detection),
    }
}

fn ending(promises: &[SuitePromise]) -> String {
    let mut text = "\n".to_owned();
    for promise in promises {
        let word = if promise.kept { "kept" } else { "broken" };
        text += &format!(
            "{:<20}{word:<8}{} (bound: {})\n",
            promise.name, promise.value, promise.bound
        );
    }
    text
}
