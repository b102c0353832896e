//! What was injected into a run, fault by fault, and which requests each can have reached.

use std::collections::HashMap;

use tierscope_analyzer::Kind;
use tierscope_loadgen::Record;
use tierscope_model::{Nanos, RequestId};

use crate::inject::{Held, Hit};
use crate::spec::Experiment;

/// After the last request that met a fault was answered, its traces in others' times are gone.
const GRACE: Nanos = 100_000_000;

/// A request as the client saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) id: RequestId,
    pub(crate) endpoint: &'a str,
    pub(crate) header: Option<&'a str>,
    /// CLOCK_MONOTONIC, nanoseconds.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The client's own port.
    pub(crate) port: Option<u16>,
}

/// What is known of the delay that a fault made in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delay {
    /// The delay itself, where the experiment or the injector's log tells it.
    pub(crate) known: Option<Nanos>,
    /// For so long the fault held while the request was under way: it delayed it no longer by itself.
    pub(crate) most: Nanos,
}

/// One fault of an experiment, in all requests that it can have reached.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) fault: String,
    pub(crate) hop: String,
    pub(crate) cause: Vec<Kind>,
    /// Each request that it reached.
    pub(crate) requests: HashMap<RequestId, Delay>,
    /// Times in which no request is normal, whether it was reached or not.
    disturbed: Vec<(u64, u64)>,
}

/// The answered requests.
pub(crate) fn requests(client: &[Record]) -> Vec<Request<'_>> {
    let answered = client.iter().filter_map(|record| {
        record.status?;
        Some(Request {
            id: record.id.as_deref()?.parse().ok()?,
            endpoint: &record.endpoint,
            header: record.fault.as_deref(),
            from: record.send_ns?,
            to: record.last_byte_ns?,
            port: record.local_port,
        })
    });
    answered.collect()
}

/// All faults of a run.
pub(crate) fn reaches(
    experiment: &Experiment,
    held: &[Held],
    requests: &[Request<'_>],
) -> Vec<Reach> {
    let mut reaches = Vec::new();
    for fault in &experiment.fault {
        let carried =
            |r: &&Request<'_>| r.endpoint == fault.endpoint && r.header == Some(&fault.header);
        let carriers: Vec<&Request<'_>> = requests.iter().filter(carried).collect();
        let named = |what: &str, cause: &[Kind]| Reach {
            fault: format!("{} of {}{what}", fault.header, fault.endpoint),
            hop: fault.hop.clone(),
            cause: cause.to_vec(),
            requests: HashMap::new(),
            disturbed: Vec::new(),
        };
        let delay = |known| Delay {
            known,
            most: Nanos::MAX,
        };
        let ids = carriers.iter().map(|r| (r.id, delay(fault.magnitude_ns)));
        reaches.push(Reach {
            requests: ids.collect(),
            ..named("", &fault.cause)
        });
        if !fault.others.is_empty() {
            let times: Vec<_> = carriers.iter().map(|r| (r.from, r.to)).collect();
            let met = |r: &&Request<'_>| r.header.is_none() && meets_any(r, &times);
            let ids = requests.iter().filter(met).map(|r| (r.id, delay(None)));
            reaches.push(Reach {
                requests: ids.collect(),
                disturbed: drained(&times, requests),
                ..named(", others", &fault.others)
            });
        }
    }
    for (number, window) in experiment.window.iter().enumerate() {
        let of_window = || held.iter().filter(|held| held.window == number);
        let times: Vec<_> = of_window().map(|held| (held.from_ns, held.to_ns)).collect();
        let reached = |r: &&Request<'_>| window.reaches(r.endpoint);
        let ids = requests.iter().filter(reached).filter_map(|r| {
            let met = of_window().find_map(|held| hit(held, r))?;
            Some((r.id, met))
        });
        reaches.push(Reach {
            fault: format!("{}, {}", window.inject.name(), window.hop),
            hop: window.hop.clone(),
            cause: window.cause.clone(),
            requests: ids.collect(),
            disturbed: drained(&times, requests),
        });
    }
    reaches
}

impl Reach {
    /// One in certain requests only.
    #[cfg(test)]
    pub(crate) fn of_requests(
        fault: &str,
        cause: Vec<Kind>,
        requests: HashMap<RequestId, Delay>,
    ) -> Reach {
        Reach {
            fault: fault.to_owned(),
            hop: String::new(),
            cause,
            requests,
            disturbed: Vec::new(),
        }
    }

    /// Whether a request may have been disturbed.
    pub(crate) fn disturbs(&self, request: &Request<'_>) -> bool {
        self.requests.contains_key(&request.id) || meets_any(request, &self.disturbed)
    }
}

/// What is known of the delay, where the mechanism was at work on a request.
fn hit(held: &Held, request: &Request<'_>) -> Option<Delay> {
    let own = held
        .hits
        .iter()
        .filter(|hit| hit.request == Some(request.id));
    let delays: Vec<Option<Nanos>> = own.map(|hit| hit.magnitude_ns).collect();
    if !delays.is_empty() {
        let known: Option<Nanos> = delays.into_iter().sum();
        return Some(Delay {
            known: known.or(held.magnitude_ns),
            most: Nanos::MAX,
        });
    }
    let met = |hit: &&Hit| {
        let there = |port: &u16| hit.clients.is_empty() || hit.clients.contains(port);
        hit.request.is_none()
            && request.from < hit.to_ns
            && hit.from_ns < request.to
            && request.port.as_ref().is_none_or(there)
    };
    let mut hits = held.hits.iter().filter(met).peekable();
    let known = hits.peek()?.magnitude_ns.or(held.magnitude_ns);
    let overlap = |hit: &Hit| hit.to_ns.min(request.to) - hit.from_ns.max(request.from);
    Some(Delay {
        known,
        most: hits.map(overlap).sum(),
    })
}

fn meets_any(request: &Request<'_>, times: &[(u64, u64)]) -> bool {
    let mut times = times.iter();
    times.any(|(from, to)| request.from < *to && *from < request.to)
}

/// The times, each until all requests that met it were answered, and a little longer.
fn drained(times: &[(u64, u64)], requests: &[Request<'_>]) -> Vec<(u64, u64)> {
    let drained = times.iter().map(|(from, to)| {
        let met = requests.iter().filter(|r| r.from < *to && *from < r.to);
        let last = met.map(|r| r.to).fold(*to, u64::max);
        (*from, last + GRACE)
    });
    drained.collect()
}
