//! A run as one HTML file that needs nothing from outside: findings first.
//!
//! It says all without a script; `tables.js` and `waterfall.js` make tables sortable and waterfalls foldable.
//! Its Content-Security-Policy allows no load at all and only the very scripts that stand here, by hash.

mod case;
mod changes;
mod comparison;
mod endpoints;
mod evidence;
mod excess;
mod latency;
mod overview;
mod page;
mod plot;
mod prose;
mod requests;
mod trace_data;

use std::collections::BTreeMap;

use tierscope_analyzer::{Findings, Flagged, Group, Usual};
use tierscope_model::{RequestId, Trace, TraceId};

pub use latency::Latencies;
pub use page::render_html;

/// Most findings whose dearest request's waterfall is in the page.
pub const WATERFALLS: usize = 100;

/// What a report is made of.
#[derive(Debug)]
pub struct Report<'a> {
    /// The run's name.
    pub name: String,
    /// What it was, in words; may be empty.
    pub title: String,
    /// What it was judged by, in words.
    pub judged_by: String,
    /// What was found.
    pub findings: &'a Findings,
    /// How long its requests took.
    pub latencies: &'a Latencies,
    /// What is usual of an endpoint, and the median request of it.
    pub medians: &'a BTreeMap<String, Median>,
    /// The dearest request of each finding.
    pub traces: &'a BTreeMap<Key, Trace>,
}

/// What keys a request: several may share one trace id.
pub type Key = (Option<RequestId>, TraceId);

/// What is usual of an endpoint.
#[derive(Debug, Default)]
pub struct Median {
    /// Time by path.
    pub usual: Usual,
    /// A request of median duration.
    pub trace: Option<Trace>,
    /// How many it stands for.
    pub count: u64,
}

impl Report<'_> {
    /// The dearest request of a group, with all that was found of it.
    fn dearest(&self, group: &Group) -> Option<&Flagged> {
        let key = (group.request_id, group.trace_id);
        let mut all = self.findings.requests.iter();
        all.find(|request| (request.request_id, request.trace_id) == key)
    }

    /// The trace of that request.
    fn trace(&self, group: &Group) -> Option<&Trace> {
        self.traces.get(&(group.request_id, group.trace_id))
    }
}
