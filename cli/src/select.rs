//! Which traces a verb works on.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use tierscope_assembler::Options;
use tierscope_experiments::{Assembly, Progress, read_lines};
use tierscope_interchange::Clock;
use tierscope_model::Trace;
use tierscope_tracer::recording::Reader;

/// Where traces come from, and which of them are meant.
#[derive(clap::Args, Clone, Debug)]
pub struct Selection {
    /// A run folder, a traces.jsonl, or a recording (.tsrec); the newest run in ./runs if left out.
    pub source: Option<PathBuf>,
    /// Only the request with this id (or with an id that begins so).
    #[arg(long, value_name = "HEX")]
    pub id: Option<String>,
    /// Only this endpoint, e.g. "GET /api/users/{id}".
    #[arg(long, value_name = "NAME")]
    pub endpoint: Option<String>,
    /// Only the slowest of them.
    #[arg(long)]
    pub slowest: bool,
}

impl Selection {
    /// The traces that are meant, slowest first; an error where there are none.
    pub fn traces(&self) -> anyhow::Result<Vec<Trace>> {
        let source = self.source()?;
        let mut traces = read(&source)?;
        let found = traces.len();
        traces.retain(|trace| self.means(trace));
        ensure!(
            !traces.is_empty(),
            "{}: none of {found} traces is meant; {}",
            source.display(),
            self.hint()
        );
        traces.sort_by_key(|t| (std::cmp::Reverse(t.duration()), t.request_id));
        if self.slowest {
            traces.truncate(1);
        }
        Ok(traces)
    }

    /// How the recording's clock stands to the wall clock.
    pub fn clock(&self) -> anyhow::Result<Clock> {
        let source = self.source()?;
        let recording = match source.extension().and_then(|e| e.to_str()) {
            Some("tsrec") => source,
            Some("jsonl") => source.with_file_name("recording.tsrec"),
            _ => source.join("recording.tsrec"),
        };
        let reader = Reader::open(&recording)
            .context("wall-clock times come from the recording's header")?;
        let anchor = reader.header().clock_anchor;
        Ok(Clock {
            monotonic_ns: anchor.monotonic_ns.0,
            wall_ns: anchor.wall_ns,
        })
    }

    fn source(&self) -> anyhow::Result<PathBuf> {
        self.source.clone().map_or_else(newest_run, Ok)
    }

    fn means(&self, trace: &Trace) -> bool {
        let id = |wanted: &String| {
            let own = [
                trace.request_id.map(|id| id.to_string()),
                Some(trace.trace_id.to_string()),
            ];
            own.iter()
                .flatten()
                .any(|id| id.starts_with(&wanted.to_lowercase()))
        };
        self.id.as_ref().is_none_or(id)
            && self.endpoint.as_ref().is_none_or(|e| *e == trace.endpoint)
    }

    fn hint(&self) -> &'static str {
        if self.endpoint.is_some() {
            "an endpoint is a method and a route template, e.g. \"GET /api/users/{id}\""
        } else {
            "an id is 32 hex digits, or the first few of them"
        }
    }
}

fn newest_run() -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir("runs")
        .context("no ./runs here: name a run folder, or make one with `tierscope run`")?;
    let newest = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| p.join("traces.jsonl").exists())
        .max();
    newest.context(
        "no finished run in ./runs: make one with `tierscope run experiments/slow-query.toml`",
    )
}

fn read(source: &Path) -> anyhow::Result<Vec<Trace>> {
    if source.is_dir() {
        return Ok(read_lines(&source.join("traces.jsonl"))?);
    }
    match source.extension().and_then(|e| e.to_str()) {
        Some("tsrec") => {
            Ok(Assembly::read(source, Options::default(), &Progress::on_terminal())?.traces)
        }
        Some("jsonl") => Ok(read_lines(source)?),
        _ => bail!(
            "{}: expected a run folder, a .jsonl of traces or a .tsrec recording",
            source.display()
        ),
    }
}
