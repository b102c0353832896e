//! The next request, ready to send, and when it is due.
//!
//! Request `n` is due at `start + n / rate`, where the rate may change at given times, and follows from the seed and `n` alone, so the queue
//! of requests that wait for a connection is nothing but the numbers from the next one to the clock.

use std::time::Duration;

use crate::{
    clock::SECOND,
    options::{LoadOptions, Mode, Step},
    request::Request,
};

/// A place in the sequence of requests.
pub struct Schedule<'a> {
    options: &'a LoadOptions,
    start: u64,
    end: u64,
    next: Request,
    wire: Vec<u8>,
}

impl<'a> Schedule<'a> {
    /// A schedule that begins at `start`, ns.
    pub fn new(options: &'a LoadOptions, start: u64) -> Self {
        let next = options.mix.request(options.seed, 0);
        let mut wire = Vec::new();
        next.encode(&options.host, &mut wire);
        Self {
            options,
            start,
            end: start + options.duration.as_nanos() as u64,
            next,
            wire,
        }
    }

    /// Intended time of the next request, ns; none when there is no more to come.
    pub fn due(&self, now: u64) -> Option<u64> {
        let due = match self.options.mode {
            Mode::Open { rate } => self.start + offset(rate, &self.options.steps, self.next.n),
            Mode::Closed => now.max(self.start),
        };
        (due < self.end).then_some(due)
    }

    /// How long a request that is `due` waits for a connection, both ns: its time-out; in the
    /// closed loop it is due only when one is free, so until the end.
    pub fn give_up(&self, due: u64, timeout: u64) -> u64 {
        match self.options.mode {
            Mode::Open { .. } => due + timeout,
            Mode::Closed => self.end,
        }
    }

    /// Head and body of the next request.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// How long each of the first parts of the next request's answer is to be let lie.
    pub fn pause(&self) -> Option<Duration> {
        self.next.pause()
    }

    /// Takes the next request, and makes the one after it.
    pub fn take(&mut self) -> Request {
        let options = self.options;
        let following = options.mix.request(options.seed, self.next.n + 1);
        following.encode(&options.host, &mut self.wire);
        std::mem::replace(&mut self.next, following)
    }

    /// Nothing more is due from `now` on.
    pub fn stop(&mut self, now: u64) {
        self.end = self.end.min(now);
    }
}

/// When request `n` is due after the start, ns.
fn offset(mut rate: f64, steps: &[Step], n: u64) -> u64 {
    let (mut from, mut left) = (0.0, n as f64);
    for step in steps {
        let at = step.at.as_secs_f64();
        let before = ((at - from) * rate).ceil();
        if left < before {
            break;
        }
        left -= before;
        (from, rate) = (at, step.rate);
    }
    ((from + left / rate) * SECOND as f64) as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_rate_changes_at_its_times() {
        let at = |seconds, rate| Step {
            at: Duration::from_secs(seconds),
            rate,
        };
        let steps = [at(2, 40.0), at(3, 10.0)];
        let due = |n| offset(10.0, &steps, n) / (SECOND / 1000);
        assert_eq!([0, 1, 19].map(due), [0, 100, 1900]);
        assert_eq!([20, 21, 59].map(due), [2000, 2025, 2975]);
        assert_eq!([60, 61].map(due), [3000, 3100]);
        assert_eq!(offset(10.0, &[], 15), 3 * SECOND / 2);
    }
}
