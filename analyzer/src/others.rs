//! What other requests did: who waits is told whom he waited for.

use tierscope_model::Trace;

use crate::busy::Busy;
use crate::holders::Holders;
use crate::label::Labels;

/// Requests that kept threads of a process busy, and those that held connections to the database.
#[derive(Clone, Debug, Default)]
pub struct Others {
    labels: Labels,
    pub(crate) busy: Busy,
    pub(crate) holders: Holders,
}

impl Others {
    /// Notes what a trace's request did.
    pub fn note(&mut self, trace: &Trace) {
        self.busy.note(trace, &mut self.labels);
        self.holders.note(trace, &mut self.labels);
    }
}
