//! How long requests took, and when: collected trace by trace, in bounded memory.

use std::collections::BTreeMap;

use tierscope_analyzer::Sketch;
use tierscope_model::{Nanos, Timestamp, Trace};

/// Most endpoints that are told apart.
const MOST: usize = 64;
/// Stretches of time that a picture has; when they are full, two become one.
const STRETCHES: usize = 128;
/// Length of a stretch at first.
const SHORTEST: Nanos = 10_000_000;

/// The latencies of all endpoints.
#[derive(Debug, Default)]
pub struct Latencies {
    origin: Option<Timestamp>,
    end: Nanos,
    endpoints: BTreeMap<String, Latency>,
    left_out: u64,
}

/// The latencies of one endpoint.
#[derive(Debug)]
pub(super) struct Latency {
    pub(super) all: Sketch,
    pub(super) flagged: u64,
    stretch: Nanos,
    over_time: Vec<Sketch>,
}

impl Latencies {
    /// Takes a trace in, and whether anything was found of it. One that may lack something is left out.
    pub fn add(&mut self, trace: &Trace, flagged: bool) {
        let Some(root) = trace.root().filter(|_| trace.incomplete.is_empty()) else {
            return;
        };
        let origin = *self.origin.get_or_insert(root.start);
        let at = root.start.since(origin);
        self.end = self.end.max(at);
        let full = self.endpoints.len() >= MOST;
        if !self.endpoints.contains_key(&trace.endpoint) {
            if full {
                self.left_out += 1;
                return;
            }
            let fresh = Latency::default();
            self.endpoints.insert(trace.endpoint.clone(), fresh);
        }
        if let Some(known) = self.endpoints.get_mut(&trace.endpoint) {
            known.add(at, root.duration());
            known.flagged += u64::from(flagged);
        }
    }

    /// Whether the report shows this endpoint.
    pub fn shows(&self, endpoint: &str) -> bool {
        self.endpoints.contains_key(endpoint)
    }

    /// When the first request began.
    pub(super) fn origin(&self) -> Timestamp {
        self.origin.unwrap_or_default()
    }

    /// From the first request's start to the last one's.
    pub(super) fn length(&self) -> Nanos {
        self.end
    }

    /// Requests of endpoints beyond those that are told apart.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// By name.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = (&str, &Latency)> {
        let all = self.endpoints.iter();
        all.map(|(name, latency)| (name.as_str(), latency))
    }
}

impl Default for Latency {
    fn default() -> Latency {
        Latency {
            all: Sketch::default(),
            flagged: 0,
            stretch: SHORTEST,
            over_time: Vec::new(),
        }
    }
}

impl Latency {
    fn add(&mut self, at: Nanos, duration: Nanos) {
        self.all.insert(duration);
        while at / self.stretch >= STRETCHES as u64 {
            self.halve();
        }
        let place = (at / self.stretch) as usize;
        if place >= self.over_time.len() {
            self.over_time.resize_with(place + 1, Sketch::default);
        }
        self.over_time[place].insert(duration);
    }

    /// Two neighbouring stretches become one.
    fn halve(&mut self) {
        self.stretch *= 2;
        let pairs = self.over_time.chunks(2).map(|pair| {
            let mut sum = pair[0].clone();
            pair.iter().skip(1).for_each(|second| sum.merge(second));
            sum
        });
        self.over_time = pairs.collect();
    }

    /// How many requests.
    pub(super) fn count(&self) -> u64 {
        self.all.count()
    }

    /// The duration that `share` of the requests do not exceed.
    pub(super) fn quantile(&self, share: f64) -> Nanos {
        self.all.quantile(share, self.count())
    }

    /// Stretches with requests in them: the middle of each in nanoseconds, and its durations.
    pub(super) fn over_time(&self) -> impl Iterator<Item = (Nanos, &Sketch)> {
        let all = self.over_time.iter().enumerate();
        all.filter(|(_, sketch)| sketch.count() > 0)
            .map(|(place, sketch)| (place as u64 * self.stretch + self.stretch / 2, sketch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_takes_no_more_stretches_and_loses_no_request() {
        let mut latency = Latency::default();
        for second in 0..10_000 {
            latency.add(second * 1_000_000_000, 1_000_000 + second);
        }
        let all: Vec<_> = latency.over_time().collect();
        assert!((64..=STRETCHES).contains(&all.len()), "{}", all.len());
        let requests: u64 = all.iter().map(|(_, sketch)| sketch.count()).sum();
        assert_eq!(requests, 10_000);
        assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
