//! What we know of a span beyond what the formats have fields for, as attributes.

use std::fmt;

use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};
use tierscope_model::{Attributes, Incomplete, Resource, Span, Trace, attr};

/// How the span was joined to its parent: `seq`, `header`, `probe`, `poll`, `task`, `backend`.
pub(crate) const EVIDENCE_KIND: &str = "tierscope.evidence.kind";
/// The id that was observed.
pub(crate) const EVIDENCE_ID: &str = "tierscope.evidence.id";
/// Set where the span could not be joined.
pub(crate) const ORPHAN: &str = "tierscope.orphan";
/// CLOCK_MONOTONIC, in nanoseconds.
pub(crate) const START: &str = "tierscope.start_ns";
/// Exact length in nanoseconds.
pub(crate) const DURATION: &str = "tierscope.duration_ns";
/// On a root: why its trace may lack something.
pub(crate) const INCOMPLETE: &str = "tierscope.incomplete";

/// A span, whether it is its trace's root, and all attributes to export.
pub(crate) fn spans(trace: &Trace) -> impl Iterator<Item = (&Span, Attributes)> {
    let spans = trace.spans.iter().enumerate();
    spans.map(|(index, span)| (span, attributes(trace, span, index == 0)))
}

fn attributes(trace: &Trace, span: &Span, root: bool) -> Attributes {
    let mut all = span.attributes.clone();
    if let Some(id) = trace.request_id {
        all.set(attr::REQUEST_ID, id.to_string());
    }
    match &span.parent {
        Some(link) => {
            all.set(EVIDENCE_KIND, link.evidence.kind());
            all.set(EVIDENCE_ID, link.evidence.id().to_owned());
        }
        None if !root => all.set(ORPHAN, true),
        None => {}
    }
    if root && !trace.incomplete.is_empty() {
        all.set(INCOMPLETE, reasons(trace));
    }
    all.set(START, span.start.0);
    all.set(DURATION, span.duration());
    all
}

/// The reasons as they stand in our own files, e.g. `event_loss,orphan`.
fn reasons(trace: &Trace) -> String {
    let reasons = trace.incomplete.iter();
    let names: Vec<String> = reasons.map(|r| Name(*r).to_string()).collect();
    names.join(",")
}

/// The reason of that name.
pub(crate) fn reason(name: &str) -> Option<Incomplete> {
    let name: StrDeserializer<'_, Error> = name.into_deserializer();
    Incomplete::deserialize(name).ok()
}

/// Shows a reason by its name in files.
struct Name(Incomplete);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

/// The process's own attributes; its service name has a field in every format.
pub(crate) fn resource(resource: &Resource) -> Attributes {
    let mut all = Attributes::new();
    all.set("process.executable.name", resource.process.clone());
    all.set(attr::PROCESS_PID, resource.pid);
    all.set("host.name", resource.host.clone());
    all
}
