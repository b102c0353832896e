//! What the assembler counted: nothing is dropped or left unjoined in silence.

use serde::Serialize;

/// Totals over a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Events taken in.
    pub events: u64,
    /// Events that came out of order by more than the window.
    pub late_events: u64,
    /// Events on sockets that were never announced.
    pub unknown_socket_events: u64,
    /// Events that the tracer could not deliver.
    pub lost_events: u64,
    /// Returns of threads to a CPU that the kernel told nobody: what those threads did before is not known.
    pub unseen_returns: u64,
    /// Traces of requests.
    pub traces: u64,
    /// Spans in them, orphans included.
    pub spans: u64,
    /// Spans that could not be joined to a parent.
    pub orphan_spans: u64,
    /// PostgreSQL exchanges that keep a connection in order and belong to no request.
    pub upkeep_exchanges: u64,
    /// HTTP message heads read.
    pub http_messages: u64,
    /// Sends that should have begun an HTTP message and could not be read.
    pub http_unparsed: u64,
    /// Requests that had no answer in time.
    pub unanswered: u64,
    /// Answers without a request.
    pub unasked: u64,
    /// Segments sent again whose message had been read by then: they cost nothing and stand in no trace.
    pub retransmits_after_read: u64,
    /// Parts that would have been negative.
    pub negative_durations: u64,
    /// Sums that did not match, and children outside their parent without a flag.
    pub conservation_violations: u64,
    /// Requests of which remains were recorded, though the sample leaves them out.
    pub sampled_out: u64,
    /// Calls on files that could not be told to be any request's.
    pub files_apart: u64,
    /// Requests to disks that could not be told to be any request's.
    pub disk_requests_apart: u64,
    /// Connections' and threads' log entries and requests closed early because a memory limit was reached.
    pub over_budget: u64,
}
