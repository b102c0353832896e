//! What a request carries through its handling.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    fault::{Faults, Latency, Pending},
    request_id::RequestId,
};

/// One request's id, faults and counters; every handler gets it as an extension.
#[derive(Debug)]
pub struct Context {
    /// Its id.
    pub id: RequestId,
    /// Its statements carry its id as a bound parameter.
    pub truth: bool,
    /// Its faults; the latencies still to be spent are in the `Pending` fields.
    pub faults: Faults,
    /// For its first parameterised statement.
    pub db: Pending,
    /// For the time before its handler.
    pub handler: Pending,
    /// For its first rendering.
    pub cpu: Pending,
    /// For its first file operation.
    pub file: Pending,
    statements: AtomicU64,
}

impl Context {
    /// A request with `faults` on top of the service's own `latency`.
    pub fn new(id: RequestId, truth: bool, faults: Faults, latency: Latency) -> Self {
        Self {
            id,
            truth,
            faults,
            db: Pending::new(latency.db + faults.latency.db),
            handler: Pending::new(latency.handler + faults.latency.handler),
            cpu: Pending::new(latency.cpu + faults.latency.cpu),
            file: Pending::new(latency.file + faults.latency.file),
            statements: AtomicU64::new(0),
        }
    }

    /// Counts a statement about to be sent.
    pub fn count_statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// Statements sent so far, BEGIN and COMMIT included.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }
}
