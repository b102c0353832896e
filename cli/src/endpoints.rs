//! What a source's endpoints usually take: their durations, and the median trace.

use std::collections::{BTreeMap, HashSet};
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
    let mut found = Endpoints::default();
    each_trace(source, &mut |head: Head| {
        let nanos = head.spans.end.since(head.spans.start);
        found.add(&head.endpoint, nanos, head.incomplete.is_empty());
    })?;
    Ok(found.sorted())
}

/// Endpoints, while a source is read.
#[derive(Debug, Default)]
pub struct Endpoints {
    found: BTreeMap<String, Endpoint>,
    number: u64,
}

impl Endpoints {
    /// Takes the source's next trace in; one that may lack something counts only as read.
    pub fn add(&mut self, name: &str, nanos: Nanos, is_whole: bool) {
        if is_whole {
            if !self.found.contains_key(name) {
                self.found.insert(name.to_owned(), Endpoint::default());
            }
            let known = self.found.get_mut(name);
            known
                .into_iter()
                .for_each(|e| e.0.push((nanos, self.number)));
        }
        self.number += 1;
    }

    /// All of them.
    pub fn sorted(mut self) -> BTreeMap<String, Endpoint> {
        self.found.values_mut().for_each(|e| e.0.sort_unstable());
        self.found
    }
}

/// What is usual of an endpoint, and its median trace; the trace is none where the endpoint is.
pub fn usual(
    source: &Path,
    name: &str,
    endpoint: Option<&Endpoint>,
) -> anyhow::Result<(Usual, Option<Trace>)> {
    let mut usuals = Usuals::of([(name, endpoint)]);
    each_trace(source, &mut |trace: Trace| usuals.add(trace))
        .with_context(|| format!("cannot learn what is usual of {name}"))?;
    Ok(usuals.found.remove(name).unwrap_or_default())
}

/// What is usual of some endpoints, and their median traces, while a source is read.
#[derive(Debug, Default)]
pub struct Usuals {
    /// By endpoint.
    pub found: BTreeMap<String, (Usual, Option<Trace>)>,
    wanted: HashSet<u64>,
    number: u64,
}

impl Usuals {
    /// Of these.
    pub fn of<'a>(endpoints: impl IntoIterator<Item = (&'a str, Option<&'a Endpoint>)>) -> Usuals {
        let mut usuals = Usuals::default();
        for (name, endpoint) in endpoints {
            usuals.found.insert(name.to_owned(), Default::default());
            let middle = endpoint.and_then(Endpoint::middle);
            usuals.wanted.extend(middle.map(|(_, number)| number));
        }
        usuals
    }

    /// Takes the source's next trace in.
    pub fn add(&mut self, trace: Trace) {
        let is_wanted = self.wanted.contains(&self.number);
        self.number += 1;
        let Some((usual, median)) = self.found.get_mut(&trace.endpoint) else {
            return;
        };
        usual.learn(&trace);
        if is_wanted {
            *median = Some(trace);
        }
    }
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
