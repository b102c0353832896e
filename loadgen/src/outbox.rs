//! Records on their way to the collector, in batches: one wake-up of its thread per batch.

use std::sync::mpsc::Sender;

use crate::{
    clock::{self, SECOND},
    record::Record,
};

const BATCH: usize = 256;
const BATCH_AGE: u64 = SECOND / 10;

/// The batch that is being filled.
pub struct Outbox {
    batch: Vec<Record>,
    flushed: u64,
    collector: Sender<Vec<Record>>,
}

/// The collector failed, and will say so itself.
pub struct CollectorGone;

impl Outbox {
    /// An empty batch for `collector`.
    pub fn new(collector: Sender<Vec<Record>>) -> Self {
        Self {
            batch: Vec::with_capacity(BATCH),
            flushed: clock::now(),
            collector,
        }
    }

    /// Adds a record, and sends the batch when it is full or old.
    pub fn push(&mut self, record: Record, now: u64) -> Result<(), CollectorGone> {
        self.batch.push(record);
        if self.batch.len() >= BATCH || now >= self.flushed + BATCH_AGE {
            return self.flush(now);
        }
        Ok(())
    }

    /// Sends what there is.
    pub fn flush(&mut self, now: u64) -> Result<(), CollectorGone> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.flushed = now;
        self.collector.send(batch).map_err(|_| CollectorGone)
    }
}
