//! All experiments whose findings are scored, one after the other, and what they come to.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::detection::{Detection, FaultScore};
use crate::error::{Error, Result};
use crate::folder::TRACES;
use crate::run::{RunOptions, run};
use crate::spec::Experiment;

/// One experiment of the suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What came of it.
    pub outcome: RowOutcome,
}

/// What came of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there are a score of them")]
pub enum RowOutcome {
    /// It was run and scored.
    Scored(Detection),
    /// This host cannot do it: why.
    Refused(String),
    /// It failed: why.
    Failed(String),
}

/// A promise of the whole suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuitePromise {
    /// What is promised.
    pub name: String,
    /// What was measured.
    pub value: String,
    /// The bound.
    pub bound: String,
    /// Whether it is kept.
    pub kept: bool,
}

/// The experiments in a folder whose findings are scored: those that tell what is normal first, the
/// others by name.
///
/// # Errors
/// The folder cannot be read, or one of them is not valid.
pub fn suite(folder: &Path) -> Result<Vec<Experiment>> {
    let entries = std::fs::read_dir(folder).map_err(Error::read(folder))?;
    let mut experiments = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let is_toml = path.extension().is_some_and(|e| e == "toml");
        if is_toml && entry.file_name() != "Cargo.toml" {
            experiments.push(Experiment::read(&path)?);
        }
    }
    experiments.retain(Experiment::is_scored);
    experiments.sort_by(|a, b| (!a.baseline, &a.name).cmp(&(!b.baseline, &b.name)));
    Ok(experiments)
}

/// Runs the experiments and hands over what came of each. Those that follow one that tells what is
/// normal are compared with it. Traces are not kept: they are assembled from the recording again.
///
/// # Errors
/// This host cannot trace, or has no lab; or `each` failed.
pub fn verify<E: From<Error>>(
    experiments: &[Experiment],
    options: &RunOptions,
    each: &mut dyn FnMut(&Row) -> std::result::Result<(), E>,
) -> std::result::Result<Vec<Row>, E> {
    let mut baseline: Vec<PathBuf> = Vec::new();
    let mut rows = Vec::new();
    for experiment in experiments {
        let options = RunOptions {
            baseline: match experiment.by_itself {
                true => Vec::new(),
                false => baseline.clone(),
            },
            ..options.clone()
        };
        let outcome = match run(experiment, &options) {
            Ok(outcome) => {
                baseline.extend(outcome.baseline);
                // It can be made again; one that is kept only takes room.
                let _ = std::fs::remove_file(outcome.folder.path(TRACES));
                RowOutcome::Scored(outcome.score.findings.unwrap_or_default())
            }
            Err(error @ Error::Refused { .. }) => RowOutcome::Refused(error.to_string()),
            // What keeps the first one from being run is the host's, and keeps them all.
            Err(error @ (Error::Record(_) | Error::Lab(_))) if rows.is_empty() => {
                return Err(error.into());
            }
            Err(error) => RowOutcome::Failed(error.to_string()),
        };
        let row = Row {
            name: experiment.name.clone(),
            outcome,
        };
        each(&row)?;
        rows.push(row);
    }
    Ok(rows)
}

/// What the rows come to.
pub fn promises(rows: &[Row]) -> Vec<SuitePromise> {
    let scored: Vec<&Detection> = rows
        .iter()
        .filter_map(|row| match &row.outcome {
            RowOutcome::Scored(detection) => Some(detection),
            _ => None,
        })
        .collect();
    let failed = rows.len() - scored.len() - refused(rows);
    let faults = || scored.iter().flat_map(|d| &d.faults);
    let sum = |of: &dyn Fn(&Detection) -> u64| scored.iter().map(|d| of(d)).sum::<u64>();
    let affected: u64 = faults().map(|f| f.affected).sum();
    let found: u64 = faults().map(|f| f.found).sum();
    let first: u64 = faults().map(|f| f.first).sum();
    let priced: u64 = faults().map(|f| f.magnitude.n).sum();
    let close: u64 = faults().map(|f| f.magnitude.close).sum();
    let normal = sum(&|d| d.normal);
    let alarms = sum(&|d| d.false_alarms);
    let repeats = sum(&|d| d.alarms_by_kind.get("N+1 queries").copied().unwrap_or(0));
    let changes = || scored.iter().flat_map(|d| &d.changes);
    let changed: u64 = changes().map(|c| c.injected).sum();
    let told: u64 = changes().map(|c| c.found).sum();
    vec![
        promise(
            "run",
            failed == 0,
            format!("{failed} experiments failed"),
            "0",
        ),
        injected(faults()),
        at_least(
            "recall",
            found,
            affected,
            0.99,
            "99 % of the affected requests",
        ),
        at_least(
            "right cause first",
            first,
            affected,
            0.97,
            "97 % of the affected requests",
        ),
        at_least(
            "magnitude",
            close,
            priced,
            0.95,
            "95 % within a tenth or 1 ms",
        ),
        promise(
            "false alarms",
            alarms as f64 <= 0.001 * normal as f64,
            share(alarms, normal),
            "0.1 % of the normal requests",
        ),
        promise(
            "N+1 alarms",
            repeats == 0,
            repeats.to_string(),
            "0 in normal requests",
        ),
        promise(
            "changes",
            told == changed,
            format!("{told} of {changed}"),
            "all found",
        ),
    ]
}

/// Of a fault that delayed nobody, all that is scored is perfect.
fn injected<'a>(faults: impl Iterator<Item = &'a FaultScore>) -> SuitePromise {
    let missed = faults.filter(|fault| fault.affected == 0);
    let missed: Vec<&str> = missed.map(|fault| fault.fault.as_str()).collect();
    let value = match missed.is_empty() {
        true => "all reached requests".to_owned(),
        false => format!("no request was delayed by {}", missed.join(", ")),
    };
    promise(
        "injected",
        missed.is_empty(),
        value,
        "each fault delays requests",
    )
}

fn refused(rows: &[Row]) -> usize {
    let refused = |row: &&Row| matches!(row.outcome, RowOutcome::Refused(_));
    rows.iter().filter(refused).count()
}

fn at_least(name: &str, part: u64, of: u64, bound: f64, words: &str) -> SuitePromise {
    // Of nothing, nothing is promised.
    let kept = part as f64 >= bound * of as f64;
    promise(name, kept, share(part, of), &format!("at least {words}"))
}

fn share(part: u64, of: u64) -> String {
    let share = 100.0 * part as f64 / of.max(1) as f64;
    format!("{part} of {of} ({share:.2} %)")
}

fn promise(name: &str, kept: bool, value: String, bound: &str) -> SuitePromise {
    SuitePromise {
        name: name.to_owned(),
        value,
        bound: bound.to_owned(),
        kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_delays_nobody_breaks_a_promise() {
        let broken = |affected| {
            let fault = FaultScore {
                fault: "missing-index".to_owned(),
                affected,
                found: affected,
                first: affected,
                ..FaultScore::default()
            };
            let detection = Detection {
                faults: vec![fault],
                ..Detection::default()
            };
            let rows = [Row {
                name: "missing-index".to_owned(),
                outcome: RowOutcome::Scored(detection),
            }];
            let broken = promises(&rows).into_iter().filter(|promise| !promise.kept);
            broken.map(|promise| promise.value).collect::<Vec<_>>()
        };
        assert!(broken(1).is_empty());
        assert_eq!(broken(0), ["no request was delayed by missing-index"]);
    }
}
