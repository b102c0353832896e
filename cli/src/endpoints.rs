//! What a source's endpoints usually take: their durations, and one typical trace.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use tierscope_analyzer::Usual;
use tierscope_model::{Nanos, Trace};

use crate::select::read;

/// Whole traces of one endpoint: how long they took, and which ones of the source they are.
#[derive(Debug, Default)]
pub struct Endpoint(Vec<(Nanos, u64)>);

impl Endpoint {
    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The median duration.
    pub fn median(&self) -> Nanos {
        self.0.get(self.0.len() / 2).map_or(0, |(nanos, _)| *nanos)
    }
}

/// The endpoints of a source, health checks among them. `usual` learns those of `endpoint`.
pub fn endpoints(
    source: &Path,
    endpoint: Option<&str>,
    usual: &mut Usual,
) -> anyhow::Result<BTreeMap<String, Endpoint>> {
    let mut found: BTreeMap<String, Endpoint> = BTreeMap::new();
    let mut number = 0;
    read(source, &mut |trace: Trace| {
        if trace.incomplete.is_empty() {
            let known = found.entry(trace.endpoint.clone()).or_default();
            known.0.push((trace.duration(), number));
            if endpoint == Some(trace.endpoint.as_str()) {
                usual.learn(&trace);
            }
        }
        number += 1;
    })?;
    found.values_mut().for_each(|known| known.0.sort_unstable());
    Ok(found)
}

/// The endpoint's median trace.
pub fn typical(source: &Path, name: &str, endpoint: Option<&Endpoint>) -> anyhow::Result<Trace> {
    let median = endpoint.and_then(|e| e.0.get(e.0.len() / 2));
    let (_, wanted) =
        median.with_context(|| format!("{}: no whole trace of {name}", source.display()))?;
    let (mut number, mut found) = (0, None);
    read(source, &mut |trace: Trace| {
        if number == *wanted {
            found = Some(trace);
        }
        number += 1;
    })?;
    found.context("the source changed while it was read")
}
