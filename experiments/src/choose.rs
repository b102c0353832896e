//! Which two traces tell a run's story: a slow one and a typical one of the same endpoint.

use std::collections::{BTreeMap, HashSet};

use tierscope_model::{Nanos, RequestId, Trace};

use crate::assembly::is_health;

/// A slow trace and a typical one of the same endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The median of the endpoint's whole, undisturbed traces.
    pub typical: &'a Trace,
    /// The slowest.
    pub slow: &'a Trace,
}

/// Chooses from the endpoint that has faulty requests, else from the one whose slowest trace is
/// furthest above its median. Only whole traces are shown.
pub fn choose<'a>(traces: &'a [Trace], faulty: &HashSet<RequestId>) -> Option<Pair<'a>> {
    let mut endpoints: BTreeMap<&str, Vec<&Trace>> = BTreeMap::new();
    for trace in traces
        .iter()
        .filter(|t| t.incomplete.is_empty() && !is_health(t))
    {
        endpoints.entry(&trace.endpoint).or_default().push(trace);
    }
    let pairs = endpoints
        .into_values()
        .filter_map(|list| pair(list, faulty));
    pairs.max_by_key(|pair| (is_faulty(pair.slow, faulty), excess(pair)))
}

fn pair<'a>(mut list: Vec<&'a Trace>, faulty: &HashSet<RequestId>) -> Option<Pair<'a>> {
    list.sort_by_key(|t| (t.duration(), t.request_id));
    let slow = *list.last()?;
    let normal: Vec<_> = list.into_iter().filter(|t| !is_faulty(t, faulty)).collect();
    let typical = *normal.get(normal.len() / 2)?;
    Some(Pair { typical, slow })
}

fn is_faulty(trace: &Trace, faulty: &HashSet<RequestId>) -> bool {
    trace.request_id.is_some_and(|id| faulty.contains(&id))
}

fn excess(pair: &Pair<'_>) -> Nanos {
    pair.slow.duration().saturating_sub(pair.typical.duration())
}
