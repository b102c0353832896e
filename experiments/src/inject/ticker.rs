//! Does something again and again until it is told to end.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Hit;
use super::clock::now;
use super::joined::joined;
use crate::error::Result;

/// A thread that repeats something. Dropped, it ends.
pub(super) struct Ticker {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<u64>>>,
    from_ns: u64,
}

impl Ticker {
    /// Does it now, and every so often from then on.
    pub(super) fn start(
        every: Duration,
        mut tick: impl FnMut() -> Result<()> + Send + 'static,
    ) -> Result<Ticker> {
        tick()?;
        let (end, ended) = channel();
        let from_ns = now();
        let thread = thread::spawn(move || {
            let mut times = 1;
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                tick()?;
                times += 1;
            }
            Ok(times)
        });
        Ok(Ticker {
            end: Some(end),
            thread: Some(thread),
            from_ns,
        })
    }

    /// Ends it. What it did, in words of how often it did it; it met whoever was under way.
    pub(super) fn end(mut self, what: impl FnOnce(u64) -> String) -> Result<Hit> {
        let times = self.join()?;
        Ok(Hit {
            from_ns: self.from_ns,
            to_ns: now(),
            request: None,
            magnitude_ns: None,
            clients: Vec::new(),
            what: what(times),
        })
    }

    fn join(&mut self) -> Result<u64> {
        drop(self.end.take());
        let outcome = self.thread.take().map(JoinHandle::join);
        outcome.map_or(Ok(0), joined)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`.
        let _ = self.join();
    }
}
