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
        floor(cause).max(p50 / 10).max(2 * (p99 - p50))
    }
}

/// Of a delay that is divided between kinds one part must be over its floor: their floors together. Of kinds that are
/// alternatives, one of which has all of it, the larger one is enough.
fn floor(cause: &[Kind]) -> Nanos {
    let mut floors: HashMap<Kind, Nanos> = HashMap::new();
    for kind in cause {
        let floor = floors.entry(same(*kind)).or_default();
        *floor = (*floor).max(kind.floor().unwrap_or(0));
    }
    floors.values().sum()
}

/// What a backend waits for at a disk is told in one of three ways: whoever flushes the log waits for the disk, whoever
/// is taken along by that flush for a lightweight lock, and who reads more than usual has another I/O pattern.
fn same(kind: Kind) -> Kind {
    match kind {
        Kind::LwlockWait | Kind::IoPattern => Kind::DiskWait,
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_of_alternatives_are_not_added_up() {
        let of = |kinds: &[Kind]| floor(kinds) / 1_000_000;
        assert_eq!(of(&[Kind::LockWait]), 5);
        assert_eq!(of(&[Kind::DiskWait, Kind::IoPattern]), 10);
        let order = [Kind::SlowFile, Kind::DiskWait, Kind::LwlockWait];
        assert_eq!(of(&order), 20, "a line in a file, and a commit");
    }
}
