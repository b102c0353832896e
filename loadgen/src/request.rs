//! One request of the sequence, and its bytes.

use std::{io::Write as _, sync::Arc, time::Duration};

/// A request as the seed made it: a pure function of the mix, the seed and `n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Place in the sequence, from 0.
    pub n: u64,
    /// Its endpoint's name in the mix.
    pub endpoint: Arc<str>,
    /// HTTP method.
    pub method: Arc<str>,
    /// Path and query.
    pub target: String,
    /// JSON body.
    pub body: Option<String>,
    /// Value of the `X-Lab-Fault` header, or what the client does wrong itself: `slow_read_ms=N`.
    pub fault: Option<Arc<str>>,
}

impl Request {
    /// The path without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }

    /// How long the client lets each of the first parts of the answer lie, where it reads slowly.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let ms = self.fault.as_deref()?.strip_prefix("slow_read_ms=")?;
        ms.parse().ok().map(Duration::from_millis)
    }

    /// Puts head and body into `wire`, in place of what was there.
    pub(crate) fn encode(&self, host: &str, wire: &mut Vec<u8>) {
        wire.clear();
        // Writing to a Vec cannot fail.
        _ = write!(
            wire,
            "{} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tierscope-loadgen\r\nAccept: */*\r\n",
            self.method, self.target
        );
        if let Some(fault) = self.fault.as_ref().filter(|_| self.pause().is_none()) {
            _ = write!(wire, "X-Lab-Fault: {fault}\r\n");
        }
        if let Some(body) = &self.body {
            _ = write!(
                wire,
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        } else {
            wire.extend_from_slice(b"\r\n");
        }
    }
}
