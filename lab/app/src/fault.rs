//! Injected faults: the `X-Lab-Fault` header and the start-up latency of each layer.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::http::HeaderName;
use nix::time::{ClockId, clock_gettime};

/// The request header, comma-separated: `db_ms=N`, `handler_ms=N`, `cpu_ms=N`, `file_ms=N`,
/// `n_plus_one`, `file_per_row`, `cache_bypass`, `panic`. A repeated fault counts once, its last value.
pub const HEADER: HeaderName = HeaderName::from_static("x-lab-fault");

/// Longest latency of one layer, in ms: a typing error must not hang the lab.
const LIMIT_MS: u64 = 60_000;

/// What is wrong with a fault or latency list.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// Not a fault there is.
    #[error(
        "unknown fault `{0}`: expected db_ms=N, handler_ms=N, cpu_ms=N, file_ms=N, n_plus_one, file_per_row, cache_bypass or panic"
    )]
    UnknownFault(String),
    /// Not a layer there is.
    #[error("unknown layer `{0}`: expected db=MS, handler=MS, cpu=MS or file=MS")]
    UnknownLayer(String),
    /// Not a number of milliseconds.
    #[error("bad latency `{0}`: expected whole milliseconds, at most {LIMIT_MS}")]
    BadLatency(String),
}

/// Added latency per layer, in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Inside the request's first parameterised statement, in PostgreSQL.
    pub db: u64,
    /// Asleep before the handler runs.
    pub handler: u64,
    /// On a CPU in the request's first rendering or serialisation.
    pub cpu: u64,
    /// Asleep in the request's first file operation.
    pub file: u64,
}

impl Latency {
    /// Sets `layer`; false when there is no such layer.
    fn set(&mut self, layer: &str, ms: u64) -> bool {
        let slot = match layer {
            "db" => &mut self.db,
            "handler" => &mut self.handler,
            "cpu" => &mut self.cpu,
            "file" => &mut self.file,
            _ => return false,
        };
        *slot = ms;
        true
    }
}

/// The start-up form, `db=MS,handler=MS,…`; empty adds nothing.
impl FromStr for Latency {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut latency = Self::default();
        for entry in text.split(',').filter(|_| !text.is_empty()) {
            let unknown = || FaultError::UnknownLayer(entry.to_owned());
            let (layer, value) = entry.trim().split_once('=').ok_or_else(unknown)?;
            if !latency.set(layer, milliseconds(value)?) {
                return Err(unknown());
            }
        }
        Ok(latency)
    }
}

/// The faults of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Added latency.
    pub latency: Latency,
    /// Load orders, or users, one by one.
    pub n_plus_one: bool,
    /// Read a file for each row of a report.
    pub file_per_row: bool,
    /// Treat every cache lookup as a miss and store nothing.
    pub cache_bypass: bool,
    /// Panic while serialising.
    pub panic: bool,
}

/// The header form.
impl FromStr for Faults {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        for entry in text.split(',') {
            faults.add(entry.trim())?;
        }
        Ok(faults)
    }
}

impl Faults {
    fn add(&mut self, entry: &str) -> Result<(), FaultError> {
        let unknown = || FaultError::UnknownFault(entry.to_owned());
        match entry {
            "n_plus_one" => self.n_plus_one = true,
            "file_per_row" => self.file_per_row = true,
            "cache_bypass" => self.cache_bypass = true,
            "panic" => self.panic = true,
            _ => {
                let (layer, value) = entry.split_once("_ms=").ok_or_else(unknown)?;
                if !self.latency.set(layer, milliseconds(value)?) {
                    return Err(unknown());
                }
            }
        }
        Ok(())
    }
}

fn milliseconds(text: &str) -> Result<u64, FaultError> {
    text.parse()
        .ok()
        .filter(|ms| *ms <= LIMIT_MS)
        .ok_or_else(|| FaultError::BadLatency(text.to_owned()))
}

/// A latency that is spent once, by whoever of its layer comes first.
#[derive(Debug)]
pub struct Pending(AtomicU64);

impl Pending {
    /// `ms` still to be spent.
    pub fn new(ms: u64) -> Self {
        Self(AtomicU64::new(ms))
    }

    /// What is left; nothing is left after it.
    pub fn take(&self) -> Option<Duration> {
        let ms = self.0.swap(0, Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// Spends what is left on a CPU: time in which this thread has none does not count.
    pub fn burn(&self) {
        if let Some(duration) = self.take() {
            let end = cpu_time().saturating_add(duration);
            while cpu_time() < end {
                std::hint::spin_loop();
            }
        }
    }

    /// Spends what is left by blocking the thread.
    pub fn block(&self) {
        if let Some(duration) = self.take() {
            std::thread::sleep(duration);
        }
    }
}

/// Time that this thread was on a CPU.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map_or(Duration::MAX, Duration::from)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn header_lists_every_fault() {
        let faults: Faults =
            "db_ms=1, handler_ms=2,cpu_ms=3,file_ms=4,n_plus_one,file_per_row,cache_bypass,panic"
                .parse()
                .expect("every fault is known");
        let latency = Latency {
            db: 1,
            handler: 2,
            cpu: 3,
            file: 4,
        };
        let all = Faults {
            latency,
            n_plus_one: true,
            file_per_row: true,
            cache_bypass: true,
            panic: true,
        };
        assert_eq!(faults, all);
    }

    #[test]
    fn bad_headers_are_refused() {
        for text in [
            "", "db", "db_ms", "db=1", "net_ms=1", "panic=1", "panic,", "PANIC",
        ] {
            let error = text.parse::<Faults>().expect_err(text);
            assert!(matches!(error, FaultError::UnknownFault(_)), "{text}");
        }
        for text in ["db_ms=", "db_ms=-1", "db_ms=1.5", "db_ms=60001"] {
            let error = text.parse::<Faults>().expect_err(text);
            assert!(matches!(error, FaultError::BadLatency(_)), "{text}");
        }
    }

    #[test]
    fn start_up_latency_names_layers() {
        let latency: Latency = "db=5,file=7".parse().expect("layers are known");
        assert_eq!((latency.db, latency.file, latency.cpu), (5, 7, 0));
        assert_eq!("".parse(), Ok(Latency::default()));
        assert!("db_ms=5".parse::<Latency>().is_err());
        assert!("db=x".parse::<Latency>().is_err());
    }

    #[test]
    fn pending_latency_is_spent_once() {
        let pending = Pending::new(3);
        assert_eq!(pending.take(), Some(Duration::from_millis(3)));
        assert_eq!(pending.take(), None);
    }

    #[test]
    fn burning_takes_the_time_given() {
        let start = Instant::now();
        Pending::new(5).burn();
        assert!(start.elapsed() >= Duration::from_millis(5));
    }
}
