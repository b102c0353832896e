//! One comparison with a source that the assembler never sees, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All checks of a run, in the order of its result.
pub const CHECKS: [&str; 20] = [
    "complete",
    "mis_stitched",
    "loss",
    "client_clock",
    "statement_calls",
    "statement_times",
    "handshake_rtt",
    "request_rtt",
    "retransmits",
    "bytes_sent",
    "bytes_received",
    "run_queue",
    "switches",
    "page_reads",
    "app_request_clock",
    "app_query_clock",
    "nginx_request_time",
    "nginx_connect_time",
    "nginx_header_time",
    "nginx_response_time",
];

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "reason")]
pub enum Verdict {
    /// The bound holds.
    Ok,
    /// It does not.
    Missed,
    /// The figures are there, but the bound is for other circumstances: which, and what these were.
    Shown(String),
    /// There is nothing to compare: why.
    NotChecked(String),
}

/// One line of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, as an experiment's `expect` has it: `statement_calls`.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What was found, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What is promised.
    pub bound: String,
    /// What each side's figure includes.
    pub includes: String,
    /// The same in numbers, by name and unit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
}

/// A promise that is about to be looked at: what it is called, its bound, what each side includes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    pub(crate) name: &'static str,
    pub(crate) bound: &'static str,
    pub(crate) includes: &'static str,
}

impl Promise {
    /// Kept or not, as the figures say.
    pub(crate) fn judged(self, kept: bool, value: String, figures: &[(&str, f64)]) -> Check {
        let verdict = if kept { Verdict::Ok } else { Verdict::Missed };
        self.check(verdict, value, figures)
    }

    /// The figures alone, for this run is none that the bound is for.
    pub(crate) fn shown(self, why: String, value: String, figures: &[(&str, f64)]) -> Check {
        self.check(Verdict::Shown(why), value, figures)
    }

    /// Nothing to compare.
    pub(crate) fn not_checked(self, why: impl Into<String>) -> Check {
        self.check(Verdict::NotChecked(why.into()), String::new(), &[])
    }

    fn check(self, verdict: Verdict, value: String, figures: &[(&str, f64)]) -> Check {
        let figures = figures.iter().map(|(name, n)| ((*name).to_owned(), *n));
        Check {
            name: self.name.to_owned(),
            verdict,
            value,
            bound: self.bound.to_owned(),
            includes: self.includes.to_owned(),
            figures: figures.collect(),
        }
    }
}

impl Check {
    /// Its bound is for other circumstances: what was found stands, and is not judged.
    pub(crate) fn show_only(&mut self, why: &str) {
        if matches!(self.verdict, Verdict::Ok | Verdict::Missed) {
            self.verdict = Verdict::Shown(why.to_owned());
        }
    }

    /// Whether its bound holds.
    pub fn is_ok(&self) -> bool {
        self.verdict == Verdict::Ok
    }

    /// One of its figures.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }
}
