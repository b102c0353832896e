//! Which traces a verb works on.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use tierscope_experiments::{RECORDING, TRACES, each_trace};
use tierscope_interchange::Clock;
use tierscope_model::{Trace, attr};
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
    /// The traces that match, slowest first; an error where none does.
    pub fn traces(&self) -> anyhow::Result<Vec<Trace>> {
        let source = self.source()?;
        let mut found = 0u64;
        let mut matching: Vec<Trace> = Vec::new();
        each_trace(&source, &mut |trace: Trace| {
            found += 1;
            if self.means(&trace) {
                self.keep(&mut matching, trace);
            }
        })?;
        ensure!(
            !matching.is_empty(),
            "{}: none of {found} traces matches; {}",
            source.display(),
            self.hint()
        );
        matching.sort_by_key(|t| (std::cmp::Reverse(t.duration()), t.request_id));
        Ok(matching)
    }

    /// The slowest that matches.
    pub fn slowest(&self) -> anyhow::Result<Trace> {
        let one = Selection {
            slowest: true,
            ..self.clone()
        };
        one.traces()?.into_iter().next().context("no trace")
    }

    fn keep(&self, matching: &mut Vec<Trace>, trace: Trace) {
        match matching.first_mut().filter(|_| self.slowest) {
            Some(slowest) if slowest.duration() < trace.duration() => *slowest = trace,
            Some(_) => {}
            None => matching.push(trace),
        }
    }

    /// How the clock of these traces stands to the wall clock: the recording says; imported ones have its times.
    pub fn clock(&self, traces: &[Trace]) -> anyhow::Result<Clock> {
        if traces.iter().all(is_imported) {
            return Ok(Clock::default());
        }
        let source = self.source()?;
        let recording = match source.extension().and_then(|e| e.to_str()) {
            Some("tsrec") => source,
            Some("jsonl") => source.with_file_name(RECORDING),
            _ => source.join(RECORDING),
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

fn is_imported(trace: &Trace) -> bool {
    let root = trace.root();
    root.is_some_and(|root| root.attributes.get(attr::IMPORT_FORMAT).is_some())
}

/// The newest finished run in ./runs.
pub fn newest_run() -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir("runs")
        .context("no ./runs here: name a run folder, or make one with `tierscope run`")?;
    let newest = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| p.join(TRACES).exists())
        .max();
    newest.context(
        "no finished run in ./runs: make one with `tierscope run experiments/slow-query.toml`",
    )
}
