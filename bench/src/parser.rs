//! The second process of the pipeline: reads events as lines of JSON and drops them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::line::Line;

/// What was read.
#[derive(Default, Serialize, Deserialize)]
pub struct Totals {
    /// Bytes of all lines.
    pub bytes: u64,
    /// Lines per kind of event.
    pub lines: BTreeMap<String, u64>,
}

/// Reads standard input to its end, then prints the [`Totals`].
pub fn run() -> anyhow::Result<()> {
    let mut totals = Totals::default();
    for text in std::io::stdin().lines() {
        let text = text.context("cannot read standard input")?;
        let line: Line = serde_json::from_str(&text).context("not an event")?;
        totals.bytes += text.len() as u64 + 1;
        *totals.lines.entry(line.kind).or_default() += 1;
    }
    println!("{}", serde_json::to_string(&totals)?);
    Ok(())
}
