//! The second thread: histograms, the record file and the progress bar.

use std::{collections::BTreeMap, sync::mpsc::Receiver};

use hdrhistogram::{CreationError, Histogram};
use indicatif::ProgressBar;

use crate::{
    clock::SECOND, error::LoadError, mix::Mix, record::Record, record_file::RecordFile,
    summary::EndpointSummary,
};

/// Latencies in ns up to an hour, with 3 significant digits; longer ones count as an hour.
fn histogram() -> Result<Histogram<u64>, CreationError> {
    Histogram::new_with_max(3_600 * SECOND, 3)
}

/// One endpoint's counts and latencies.
pub struct Tally {
    name: String,
    requests: u64,
    sent: u64,
    ok: u64,
    from_intended: Histogram<u64>,
    from_send: Histogram<u64>,
}

impl Tally {
    fn new(name: &str) -> Result<Self, CreationError> {
        Ok(Self {
            name: name.to_owned(),
            requests: 0,
            sent: 0,
            ok: 0,
            from_intended: histogram()?,
            from_send: histogram()?,
        })
    }

    fn add(&mut self, record: &Record) {
        self.requests += 1;
        self.sent += u64::from(record.send_ns.is_some());
        self.ok += u64::from(record.status.is_some_and(|status| status < 400));
        if let (Some(send), Some(last)) = (record.send_ns, record.last_byte_ns) {
            self.from_intended
                .saturating_record(last - record.intended_ns);
            self.from_send.saturating_record(last - send);
        }
    }

    /// Complete answers.
    pub fn answers(&self) -> u64 {
        self.from_send.len()
    }

    /// The counts and quantiles.
    pub fn summary(&self) -> EndpointSummary {
        EndpointSummary {
            name: self.name.clone(),
            requests: self.requests,
            sent: self.sent,
            ok: self.ok,
            from_intended: (&self.from_intended).into(),
            from_send: (&self.from_send).into(),
        }
    }
}

/// Everything the records add up to.
pub struct Collector {
    /// All requests.
    pub total: Tally,
    /// Each endpoint's, in the mix's order.
    pub endpoints: Vec<Tally>,
    /// Actual minus intended send.
    pub send_lag: Histogram<u64>,
    /// Requests without a good answer, by kind.
    pub errors: BTreeMap<String, u64>,
    /// The last byte of the last answer, ns.
    pub last_byte: u64,
}

impl Collector {
    /// Nothing collected yet, for the endpoints of `mix`.
    pub fn new(mix: &Mix) -> Result<Self, CreationError> {
        Ok(Self {
            total: Tally::new("total")?,
            endpoints: mix
                .names()
                .map(|name| Tally::new(name))
                .collect::<Result<_, _>>()?,
            send_lag: histogram()?,
            errors: BTreeMap::new(),
            last_byte: 0,
        })
    }

    /// Takes every batch until the sender is gone, writing one line per record to `file`.
    pub fn collect(
        mut self,
        batches: Receiver<Vec<Record>>,
        mut file: Option<RecordFile>,
        bar: &ProgressBar,
    ) -> Result<Self, LoadError> {
        for batch in batches {
            for record in &batch {
                self.add(record);
                file.as_mut().map_or(Ok(()), |file| file.write(record))?;
            }
            self.show(bar);
        }
        file.map_or(Ok(()), RecordFile::finish)?;
        Ok(self)
    }

    fn add(&mut self, record: &Record) {
        self.total.add(record);
        let mut tallies = self.endpoints.iter_mut();
        if let Some(tally) = tallies.find(|tally| *tally.name == *record.endpoint) {
            tally.add(record);
        }
        if let Some(send) = record.send_ns {
            self.send_lag.saturating_record(send - record.intended_ns);
        }
        self.last_byte = self.last_byte.max(record.last_byte_ns.unwrap_or(0));
        let kind = match (record.error, record.status) {
            (Some(error), _) => error.name().to_owned(),
            (None, Some(status @ 400..)) => format!("http_{status}"),
            _ => return,
        };
        *self.errors.entry(kind).or_default() += 1;
    }

    fn show(&self, bar: &ProgressBar) {
        let errors: u64 = self.errors.values().sum();
        bar.set_position(bar.elapsed().as_millis() as u64);
        bar.set_message(format!("{} requests, {errors} errors", self.total.requests));
    }
}
