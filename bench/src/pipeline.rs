//! The architecture of a tracing script: one process prints every event as text, another parses it.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

use anyhow::{Context as _, ensure};

use crate::{
    cpu::Snapshot,
    parser::Totals,
    recording::peak_rss,
    sample::TracerCost,
    tools::{Running, this},
};

/// Both processes, at work.
pub struct Pipeline {
    printer: Running,
    parser: Running,
    before: Snapshot,
}

impl Pipeline {
    /// Prints the events of the lab in `lab`; everything is attached when this returns.
    pub fn start(lab: &Path) -> anyhow::Result<Self> {
        let mut printer = Running::start(this("print")?.arg(lab).stderr(Stdio::piped()))?;
        let events = printer.child().stdout.take().context("no pipe")?;
        let parser = Running::start(this("parse")?.stdin(events))?;
        let said = printer.child().stderr.take().context("no pipe")?;
        let mut first = String::new();
        BufReader::new(said).read_line(&mut first)?;
        ensure!(first == "ready\n", "the printer said: {first}");
        Ok(Self {
            before: Snapshot::of(&[printer.pid(), parser.pid()]),
            printer,
            parser,
        })
    }

    /// Ends both.
    pub fn finish(self) -> anyhow::Result<TracerCost> {
        let pids = [self.printer.pid(), self.parser.pid()];
        let cpu_ns = Snapshot::of(&pids).since(&self.before);
        let peak_rss_bytes = peak_rss(pids[0])?;
        self.printer.interrupt()?;
        self.printer.end()?;
        let totals: Totals = serde_json::from_slice(&self.parser.end()?)
            .context("the parser said something else")?;
        Ok(TracerCost {
            cpu_ns,
            peak_rss_bytes,
            bytes: totals.bytes,
            records: totals.lines,
            ..TracerCost::default()
        })
    }
}
