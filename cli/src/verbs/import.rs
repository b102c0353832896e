//! `tierscope import`: traces that other tools wrote, for the other verbs.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;
use tierscope_experiments::TraceLog;
use tierscope_interchange::{Imported, Importer};

use crate::exit::Done;
use crate::terminal::{print, print_json};

/// Read Jaeger's JSON, Zipkin's v2 JSON, or OTLP as JSON or protobuf, into traces, one JSON line each.
#[derive(clap::Args)]
pub struct Args {
    /// The files; a trace may be spread over several.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the traces go; beside the first file, as NAME.traces.jsonl, if left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// What was read.
#[derive(Debug, Serialize)]
struct Counts {
    traces: u64,
    spans: usize,
    incomplete_traces: usize,
    /// Spans with each oddity.
    odd: BTreeMap<String, u64>,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let mut importer = Importer::default();
    for file in &args.files {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        let added = importer.add(&bytes);
        added.with_context(|| file.display().to_string())?;
    }
    let imported = importer.finish();
    ensure!(
        !imported.traces.is_empty(),
        "{}: no spans in it",
        args.files[0].display()
    );
    let path = args.out.clone().unwrap_or_else(|| beside(&args.files[0]));
    let mut log = TraceLog::create(path.clone())?;
    for trace in &imported.traces {
        log.add(trace)?;
    }
    log.finish(&HashSet::new())?;
    report(&counts(&imported), &path, args.json)
}

fn beside(file: &Path) -> PathBuf {
    file.with_extension("traces.jsonl")
}

fn counts(imported: &Imported) -> Counts {
    let traces = &imported.traces;
    Counts {
        traces: traces.len() as u64,
        spans: traces.iter().map(|trace| trace.spans.len()).sum(),
        incomplete_traces: traces.iter().filter(|t| !t.incomplete.is_empty()).count(),
        odd: imported
            .odd
            .iter()
            .map(|(odd, n)| (odd.to_string(), *n))
            .collect(),
    }
}

fn report(counts: &Counts, path: &Path, json: bool) -> anyhow::Result<Done> {
    if json {
        print_json(counts)?;
        return Ok(Done::Well);
    }
    let (path, traces, spans) = (path.display(), counts.traces, counts.spans);
    print(&format!("{path}: {traces} traces, {spans} spans\n"))?;
    if !counts.odd.is_empty() {
        let pairs = counts.odd.iter().map(|(odd, n)| format!("{odd}: {n}"));
        let odd = pairs.collect::<Vec<_>>().join(", ");
        print(&format!("odd, kept and flagged: {odd} (spans)\n"))?;
    }
    Ok(Done::Well)
}
