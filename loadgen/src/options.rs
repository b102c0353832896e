//! What a run is asked to do.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{clock::SECOND, error::LoadError, mix::Mix};

/// How requests are paced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// A request every 1/`rate` seconds, whatever the answers do.
    Open {
        /// Requests per second.
        rate: f64,
    },
    /// Every connection sends its next request when its answer is complete.
    Closed,
}

/// A change of the rate in an open loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// When, from the first intended time.
    pub at: Duration,
    /// Requests per second from then on.
    pub rate: f64,
}

/// A run.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where to connect.
    pub target: SocketAddr,
    /// Value of the `Host` header.
    pub host: String,
    /// Pace.
    pub mode: Mode,
    /// Later rates, in the order of their times; the closed loop has none.
    pub steps: Vec<Step>,
    /// Keep-alive connections, opened before the first intended time.
    pub connections: usize,
    /// Room for what came and was not read, per connection; the kernel's own choice if left out. Bytes.
    pub receive_buffer: Option<usize>,
    /// How long requests are due; answers may come up to `timeout` later.
    pub duration: Duration,
    /// Same seed, same sequence of requests.
    pub seed: u64,
    /// What is sent.
    pub mix: Mix,
    /// How long after its intended time a request is given up, sent or not.
    pub timeout: Duration,
    /// Where one JSON line per request goes (created 0600, replaced if there).
    pub records: Option<PathBuf>,
    /// Wait for a line on standard input before connecting, so that a tracer can attach first.
    pub hold: bool,
    /// Called before the first request is due, with that time (CLOCK_MONOTONIC, ns).
    pub begun: Option<fn(u64)>,
}

impl LoadOptions {
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let fail = |option, reason| Err(LoadError::Option { option, reason });
        let possible = |rate: f64| rate > 0.0 && rate <= SECOND as f64;
        let first = match self.mode {
            Mode::Open { rate } => rate,
            Mode::Closed => 1.0,
        };
        let later = self.steps.iter().map(|step| step.rate);
        if !later.chain([first]).all(possible) {
            return fail("rate", "expected requests per second, above 0");
        }
        if !self.steps.is_sorted_by(|a, b| a.at < b.at) {
            return fail("step", "expected rising times");
        }
        let year = Duration::from_secs(365 * 86_400);
        if !(1..=65_535).contains(&self.connections) {
            return fail("connections", "expected 1 to 65535");
        }
        if self.duration.is_zero() || self.duration > year {
            return fail("duration", "expected more than 0 and at most a year");
        }
        if self.timeout.is_zero() || self.timeout > year {
            return fail("timeout", "expected more than 0 and at most a year");
        }
        if self.host.is_empty() || !self.host.bytes().all(|b| b.is_ascii_graphic()) {
            return fail("host", "expected a host name, ASCII without spaces");
        }
        Ok(())
    }
}
