//! How long requests usually take: what a delay must stand out from.

use std::collections::HashMap;

use tierscope_analyzer::Kind;
use tierscope_model::Nanos;

use crate::quantile::rank;
use crate::reach::Request;

/// Median and p99 of an endpoint's normal requests, in nanoseconds.
pub(crate) type Spread = (Nanos, Nanos);

/// What the baseline of other runs knows, by the client's name of the endpoint.
pub(crate) type Learned = HashMap<String, Spread>;

/// What is usual of each endpoint.
pub(crate) struct Usual<'a> {
    /// Of the run's own normal requests, on the client's clock.
    own: HashMap<&'a str, Spread>,
    learned: &'a Learned,
}

impl<'a> Usual<'a> {
    pub(crate) fn of(normal: &[&Request<'a>], learned: &'a Learned) -> Usual<'a> {
        let mut durations: HashMap<&str, Vec<Nanos>> = HashMap::new();
        for request in normal {
            let all = durations.entry(request.endpoint).or_default();
            all.push(request.to - request.from);
        }
        let spreads = durations.into_iter().map(|(endpoint, mut all)| {
            all.sort_unstable();
            (endpoint, (rank(&all, 0.5), rank(&all, 0.99)))
        });
        let own = spreads.collect();
        Usual { own, learned }
    }

    /// The run's own median.
    pub(crate) fn p50(&self, endpoint: &str) -> Nanos {
        self.own.get(endpoint).map_or(0, |(p50, _)| *p50)
    }

    /// The least delay that counts: over what is normal, where the run was judged by another one's.
    pub(crate) fn bound(&self, endpoint: &str, cause: &[Kind]) -> Nanos {
        let learned = self.learned.get(endpoint);
        let spread = learned.or_else(|| self.own.get(endpoint));
        let (p50, p99) = spread.copied().unwrap_or_default();
        // Of a delay that may be divided between kinds, one part must be over its floor.
        let floor: Nanos = cause.iter().filter_map(|kind| kind.floor()).sum();
        let floor = floor.max(p50 / 10);
        floor.max(2 * (p99 - p50))
    }
}
