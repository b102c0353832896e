//! One line of `client.jsonl`: what the client saw of one request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::request::Request;

/// What kept a request from its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No connection was free before its time-out.
    Unsent,
    /// The write failed or was short.
    Send,
    /// The connection ended before the answer did.
    Closed,
    /// The answer is not HTTP/1.
    Malformed,
    /// The answer was not complete in time.
    Timeout,
    /// The user stopped the run.
    Interrupted,
}

impl ErrorKind {
    /// The name it has in records and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsent => "unsent",
            Self::Send => "send",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One request. Times are CLOCK_MONOTONIC in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `X-Request-ID` of the answer, 32 hex digits.
    pub id: Option<Box<str>>,
    /// Place in the sequence, from 0.
    pub n: u64,
    /// Name of the endpoint in the mix.
    pub endpoint: Arc<str>,
    /// HTTP method.
    pub method: Arc<str>,
    /// Path without query.
    pub path: Box<str>,
    /// When it was due.
    pub intended_ns: u64,
    /// Directly before the write of head and body.
    pub send_ns: Option<u64>,
    /// Directly after the read that returned the answer's first byte.
    pub first_byte_ns: Option<u64>,
    /// Directly after the read that returned the answer's last byte.
    pub last_byte_ns: Option<u64>,
    /// HTTP status; none on error.
    pub status: Option<u16>,
    /// Bytes of the answer's body, without chunk framing.
    pub bytes: u64,
    /// `X-Lab-Queries` of the answer: statements the app sent for it.
    pub queries: Option<u32>,
    /// `X-Lab-Fault` sent with it.
    pub fault: Option<Arc<str>>,
    /// What went wrong; an answer of any status is none.
    pub error: Option<ErrorKind>,
    /// The connection's own port.
    pub local_port: Option<u16>,
}

impl Record {
    /// A request that was not sent (yet).
    pub(crate) fn unsent(request: Request, intended_ns: u64, error: ErrorKind) -> Self {
        Self {
            id: None,
            n: request.n,
            path: request.path().into(),
            endpoint: request.endpoint,
            method: request.method,
            intended_ns,
            send_ns: None,
            first_byte_ns: None,
            last_byte_ns: None,
            status: None,
            bytes: 0,
            queries: None,
            fault: request.fault,
            error: Some(error),
            local_port: None,
        }
    }
}
