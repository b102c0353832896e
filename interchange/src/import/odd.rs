//! What is odd about imported spans: kept, and flagged.

use std::collections::BTreeMap;
use std::fmt;

use tierscope_model::{Trace, attr};

/// One oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Odd {
    /// A server's span has its client's id: it hangs on the client's, under an id of its own.
    SharedId,
    /// Another span has the same id: this one has a new one.
    SameId,
    /// No start: it was put where its parent, or else its trace, starts.
    NoStart,
    /// No length: it was given none.
    NoDuration,
    /// It ends before it starts: it was given no length.
    EndsBeforeStart,
    /// Its parent is not in the files.
    NoParent,
    /// A root beside the trace's first.
    SecondRoot,
    /// It is its own ancestor: the link to its parent was cut.
    Circle,
    /// It starts before its parent in another process does: their clocks differ.
    Skew,
    /// Its process is not described.
    NoProcess,
}

impl Odd {
    /// All of them, in order.
    pub const ALL: [Odd; 10] = [
        Odd::SharedId,
        Odd::SameId,
        Odd::NoStart,
        Odd::NoDuration,
        Odd::EndsBeforeStart,
        Odd::NoParent,
        Odd::SecondRoot,
        Odd::Circle,
        Odd::Skew,
        Odd::NoProcess,
    ];
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Odd::SharedId => "shared id",
            Odd::SameId => "same id again",
            Odd::NoStart => "no start",
            Odd::NoDuration => "no duration",
            Odd::EndsBeforeStart => "ends before it starts",
            Odd::NoParent => "parent not found",
            Odd::SecondRoot => "second root",
            Odd::Circle => "its own ancestor",
            Odd::Skew => "clock skew",
            Odd::NoProcess => "process not described",
        })
    }
}

/// Those of one span, in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Oddities(Vec<Odd>);

impl Oddities {
    pub(super) fn add(&mut self, odd: Odd) {
        if let Err(place) = self.0.binary_search(&odd) {
            self.0.insert(place, odd);
        }
    }

    pub(super) fn has(&self, odd: Odd) -> bool {
        self.0.binary_search(&odd).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Odd> {
        self.0.iter().copied()
    }

    /// `shared id, no start`; none where nothing is odd.
    pub(super) fn text(&self) -> Option<String> {
        let names: Vec<String> = self.iter().map(|odd| odd.to_string()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// How many spans have each.
pub(super) fn count(traces: &[Trace]) -> BTreeMap<Odd, u64> {
    let mut counts = BTreeMap::new();
    for span in traces.iter().flat_map(|trace| &trace.spans) {
        let text = span.attributes.text(attr::IMPORT_ODD).unwrap_or_default();
        for odd in Odd::ALL {
            if text.split(", ").any(|name| name == odd.to_string()) {
                *counts.entry(odd).or_default() += 1;
            }
        }
    }
    counts
}
