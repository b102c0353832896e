//! `truth.jsonl`: what was injected, into which request or when.

use serde::{Deserialize, Serialize};
use tierscope_loadgen::Record;
use tierscope_model::RequestId;

use crate::inject::Held;
use crate::spec::Experiment;

/// A line of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A request that carried a fault.
    Request(Injected),
    /// A window in which a fault held.
    Window(Held),
}

/// One injected fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// The request that suffered it.
    pub id: RequestId,
    /// As the request asked for it, e.g. `db_ms=200`.
    pub fault: String,
    /// Where the time goes.
    pub hop: String,
    /// The delay, where it is known. Nanoseconds.
    pub magnitude_ns: Option<u64>,
}

/// The faults that requests carried and that were answered with an id.
pub fn injected(experiment: &Experiment, client: &[Record]) -> Vec<Injected> {
    client
        .iter()
        .filter_map(|record| of(experiment, record))
        .collect()
}

fn of(experiment: &Experiment, record: &Record) -> Option<Injected> {
    let header = record.fault.as_deref()?;
    let fault = experiment
        .fault
        .iter()
        .find(|f| f.header == header && f.endpoint == *record.endpoint)?;
    Some(Injected {
        id: record.id.as_deref()?.parse().ok()?,
        fault: header.to_owned(),
        hop: fault.hop.clone(),
        magnitude_ns: fault.magnitude_ns,
    })
}

/// A fault that the app did not understand (its answer is 400), if there is one.
pub fn refused(client: &[Record]) -> Option<&str> {
    let refused = |record: &&Record| record.fault.is_some() && record.status == Some(400);
    client.iter().find(refused)?.fault.as_deref()
}
