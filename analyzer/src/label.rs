//! Short names of requests, to be told in another one's findings.

use std::collections::BTreeSet;
use std::sync::Arc;

use tierscope_model::Trace;

/// Most endpoints that are told apart.
const ENDPOINTS: usize = 1_024;
const OTHER: &str = "(other)";

/// A request: its endpoint, and the first four digits of its trace's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    endpoint: Arc<str>,
    id: u16,
}

impl Label {
    /// E.g. `GET /api/report/{id} (request 9c1f…)`.
    pub(crate) fn text(&self) -> String {
        format!("{} (request {:04x}…)", self.endpoint, self.id)
    }
}

/// Gives them: each endpoint is kept once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    endpoints: BTreeSet<Arc<str>>,
}

impl Labels {
    pub(crate) fn of(&mut self, trace: &Trace) -> Label {
        Label {
            endpoint: self.endpoint(&trace.endpoint),
            id: (trace.trace_id.0 >> 112) as u16,
        }
    }

    fn endpoint(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.endpoints.get(name) {
            return known.clone();
        }
        let full = self.endpoints.len() >= ENDPOINTS;
        let name: Arc<str> = if full { OTHER } else { name }.into();
        self.endpoints.insert(name.clone());
        name
    }
}
