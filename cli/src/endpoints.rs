//! What a source's endpoints usually take: their durations, and one typical trace.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Context;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tierscope_analyzer::Usual;
use tierscope_experiments::each_trace;
use tierscope_model::{Incomplete, Nanos, Timestamp, Trace};

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
        self.middle().map_or(0, |(nanos, _)| nanos)
    }

    fn middle(&self) -> Option<(Nanos, u64)> {
        self.0.get(self.0.len() / 2).copied()
    }
}

/// The endpoints of a source.
pub fn endpoints(source: &Path) -> anyhow::Result<BTreeMap<String, Endpoint>> {
    let mut found: BTreeMap<String, Endpoint> = BTreeMap::new();
    let mut number = 0;
    each_trace(source, &mut |head: Head| {
        if head.incomplete.is_empty() {
            let known = found.entry(head.endpoint).or_default();
            known
                .0
                .push((head.spans.end.since(head.spans.start), number));
        }
        number += 1;
    })?;
    found.values_mut().for_each(|known| known.0.sort_unstable());
    Ok(found)
}

/// What is usual of an endpoint, and its median trace; the trace is none where the endpoint is.
pub fn usual(
    source: &Path,
    name: &str,
    endpoint: Option<&Endpoint>,
) -> anyhow::Result<(Usual, Option<Trace>)> {
    let wanted = endpoint
        .and_then(Endpoint::middle)
        .map(|(_, number)| number);
    let (mut usual, mut typical, mut number) = (Usual::default(), None, 0);
    each_trace(source, &mut |trace: Trace| {
        if trace.endpoint == name {
            usual.learn(&trace);
        }
        if Some(number) == wanted {
            typical = Some(trace);
        }
        number += 1;
    })
    .with_context(|| format!("cannot learn what is usual of {name}"))?;
    Ok((usual, typical))
}

/// The outside of a trace: a run's traces are read several times, and most of them are only counted.
#[derive(Debug, Deserialize)]
struct Head {
    endpoint: String,
    #[serde(default)]
    incomplete: Vec<Incomplete>,
    spans: Root,
}

/// The times of the first of a list of spans.
#[derive(Clone, Copy, Debug, Default)]
struct Root {
    start: Timestamp,
    end: Timestamp,
}

impl From<Trace> for Head {
    fn from(trace: Trace) -> Head {
        let root = trace.root().map(|root| Root {
            start: root.start,
            end: root.end,
        });
        Head {
            spans: root.unwrap_or_default(),
            endpoint: trace.endpoint,
            incomplete: trace.incomplete,
        }
    }
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Root, D::Error> {
        deserializer.deserialize_seq(RootVisitor)
    }
}

struct RootVisitor;

impl<'de> Visitor<'de> for RootVisitor {
    type Value = Root;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut spans: A) -> Result<Root, A::Error> {
        #[derive(Deserialize)]
        struct Times {
            start: Timestamp,
            end: Timestamp,
        }
        let root = spans
            .next_element()?
            .map(|Times { start, end }| Root { start, end });
        while let Some(IgnoredAny) = spans.next_element()? {}
        Ok(root.unwrap_or_default())
    }
}
