//! A recording under way: ring buffer to file on a thread of its own.
//!
//! The thread copies, and scrubs captured text; it decodes nothing else. It looks every 20 ms and never
//! asks to be woken, so that a traced host does not notice it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::ClockId;
use serde::Serialize;
use thiserror::Error;
use tierscope_model::{Body, Nanos, Sample};
use tierscope_wire::Keep;

use crate::clock;
use crate::recording::{Header, ProcessEntry, ServiceEntry, WriteError, Writer};
use crate::{Detail, HookReport, Scrubber, Service, Tracer, TracerError, TracerOptions, decode};

/// How often the ring buffer is emptied.
const DRAIN: Duration = Duration::from_millis(20);
/// How often, in drains, the loss counters are read.
const COUNTERS: u64 = 5;

/// What to record, and where to.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// The file; it must not be there yet.
    pub path: PathBuf,
    /// What to trace.
    pub services: Vec<Service>,
    /// Size of the ring buffer, a power of two.
    pub ring_bytes: u32,
    /// What scrubbing leaves in place.
    pub keep: Keep,
    /// Has the kernel time every program, for [`Closing::kernel_ns`]; costs some 20 ns per run.
    pub time_programs: bool,
    /// How much to record.
    pub detail: Detail,
    /// Which requests to record; `None`: all. Stands in the header ([`Header::sample`]).
    pub sample: Option<Sample>,
    /// Hooks to do without; see [`TracerOptions::without`].
    pub without: Vec<String>,
    /// For the header.
    pub command_line: Vec<String>,
    /// For the header.
    pub settings: BTreeMap<String, String>,
}

impl RecordOptions {
    /// Nothing traced yet; the usual ring; captured text scrubbed.
    pub fn new(path: impl Into<PathBuf>) -> RecordOptions {
        RecordOptions {
            path: path.into(),
            services: Vec::new(),
            ring_bytes: TracerOptions::default().ring_bytes,
            keep: Keep::default(),
            time_programs: false,
            detail: Detail::default(),
            sample: None,
            without: Vec::new(),
            command_line: Vec::new(),
            settings: BTreeMap::new(),
        }
    }
}

/// Why a recording could not be made.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The kernel.
    #[error(transparent)]
    Tracer(#[from] TracerError),
    /// The file.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// This host's facts for the header.
    #[error("cannot read this host's clocks, name or boot id: is /proc mounted?")]
    Host(#[source] std::io::Error),
    /// The system has no thread for it.
    #[error("cannot start the recording thread: end something, or raise the limit (`ulimit -u`)")]
    Spawn(#[source] std::io::Error),
    /// The recording thread is gone.
    #[error("the recording of {0} ended unexpectedly: the file reads up to its last whole block")]
    Thread(PathBuf),
}

/// How a recording closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Closing {
    /// Records per kind.
    pub records: BTreeMap<String, u64>,
    /// Events that could not be delivered, per program.
    pub lost: BTreeMap<String, u64>,
    /// Events left out in the kernel, per reason.
    pub filtered: BTreeMap<String, u64>,
    /// Size of the file.
    pub bytes: u64,
    /// From the first look to the last.
    pub duration_ns: Nanos,
    /// CPU time of the recording thread.
    pub cpu_ns: Nanos,
    /// Time in each program that ran, if it was measured: what the traced host paid.
    pub kernel_ns: BTreeMap<String, Nanos>,
    /// Largest resident size of this process so far, in bytes.
    pub peak_rss_bytes: u64,
}

/// A recording under way. Dropped, it stops, and what was flushed stays.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    hooks: Vec<HookReport>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Closing, RecordError>>>,
}

impl Recorder {
    /// Attaches to everything, makes the file, and records from now on.
    ///
    /// # Errors
    ///
    /// As [`Tracer::start`] and [`Writer::create`].
    pub fn start(options: RecordOptions) -> Result<Recorder, RecordError> {
        let tracer = Tracer::start(TracerOptions {
            services: options.services.clone(),
            ring_bytes: options.ring_bytes,
            time_programs: options.time_programs,
            detail: options.detail,
            sample: options.sample,
            without: options.without.clone(),
        })?;
        let hooks = tracer.hooks().to_vec();
        let header = header(&options, &tracer)?;
        let writer = Writer::create(&options.path, &header, false)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (path, stopped) = (options.path.clone(), stop.clone());
        let copier = Copier {
            tracer,
            writer,
            scrubber: Scrubber::new(options.keep),
            header,
            closing: Closing::default(),
        };
        let thread = std::thread::Builder::new()
            .name("tierscope-rec".to_owned())
            .spawn(move || copier.run(&stopped))
            .map_err(RecordError::Spawn)?;
        Ok(Recorder {
            path,
            hooks,
            stop,
            thread: Some(thread),
        })
    }

    /// Hooks and probes that could not be attached: what they see is not measured.
    pub fn unattached(&self) -> impl Iterator<Item = &HookReport> {
        self.hooks.iter().filter(|hook| !hook.attached)
    }

    /// Whether the thread ended by itself: the file could not be written any more.
    pub fn has_failed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Empties the ring buffer once more and closes the file.
    ///
    /// # Errors
    ///
    /// The file could not be written; it reads up to its last whole block.
    pub fn finish(mut self) -> Result<Closing, RecordError> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok(closing)) => closing,
            _ => Err(RecordError::Thread(self.path.clone())),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn header(options: &RecordOptions, tracer: &Tracer) -> Result<Header, RecordError> {
    let mut header = Header::of_this_host(env!("CARGO_PKG_VERSION"), options.command_line.clone())
        .map_err(RecordError::Host)?;
    header.hooks = tracer.hooks().to_vec();
    header.settings = options.settings.clone();
    header.set_sample(options.sample);
    for (index, service) in options.services.iter().enumerate() {
        header.services.push(ServiceEntry {
            name: service.name.clone(),
            pids: service.pids.clone(),
        });
        // One that has ended meanwhile has no entry; its PROCESS records stand in the recording.
        let found = service
            .pids
            .iter()
            .filter_map(|pid| ProcessEntry::of(*pid, index as u32).ok());
        header.processes.extend(found);
    }
    Ok(header)
}

/// The recording thread's own.
struct Copier {
    tracer: Tracer,
    writer: Writer,
    scrubber: Scrubber,
    header: Header,
    closing: Closing,
}

impl Copier {
    fn run(mut self, stop: &AtomicBool) -> Result<Closing, RecordError> {
        let begun = clock::now();
        for round in 1u64.. {
            let last = stop.load(Ordering::Relaxed);
            self.drain()?;
            if last || round.is_multiple_of(COUNTERS) {
                self.count()?;
            }
            if last {
                break;
            }
            self.writer.tick(clock::now())?;
            std::thread::sleep(DRAIN);
        }
        let ran = self.tracer.stats().into_iter().filter(|p| p.time_ns > 0);
        self.closing.kernel_ns = ran.map(|p| (p.program, p.time_ns)).collect();
        let totals = self.writer.finish()?;
        self.closing.records = totals
            .records
            .iter()
            .map(|(kind, n)| ((*kind).to_owned(), *n))
            .collect();
        self.closing.bytes = totals.bytes;
        self.closing.duration_ns = clock::now().since(begun);
        self.closing.cpu_ns = clock::read(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap_or_default();
        self.closing.peak_rss_bytes =
            getrusage(UsageWho::RUSAGE_SELF).map_or(0, |u| u.max_rss().unsigned_abs() * 1024);
        Ok(self.closing)
    }

    fn drain(&mut self) -> Result<(), RecordError> {
        let Copier {
            tracer,
            writer,
            scrubber,
            ..
        } = self;
        let mut outcome = Ok(());
        tracer.drain(&mut |record| {
            if outcome.is_ok() {
                scrubber.scrub(record);
                outcome = writer.record(record);
            }
        });
        Ok(outcome?)
    }

    fn count(&mut self) -> Result<(), RecordError> {
        for record in self.tracer.poll_counters()? {
            self.writer.record(&record)?;
            match decode(&record).map(|event| event.body) {
                Ok(Body::Loss(loss)) => {
                    *self
                        .closing
                        .lost
                        .entry(name(&self.header.programs, loss.program))
                        .or_default() += loss.count;
                }
                Ok(Body::Filtered(left)) => {
                    *self
                        .closing
                        .filtered
                        .entry(name(&self.header.filters, left.reason))
                        .or_default() += left.count;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a program of this name looks at calls on files.
fn is_file_hook(program: &str) -> bool {
    program.starts_with("file") || program.starts_with("vfs")
}

fn name(names: &[String], index: u32) -> String {
    names
        .get(index as usize)
        .cloned()
        .unwrap_or_else(|| index.to_string())
}

impl Closing {
    /// Events that could not be delivered.
    pub fn lost_events(&self) -> u64 {
        self.lost.values().sum()
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.records.values().sum();
        let seconds = self.duration_ns as f64 / 1e9;
        let kinds: Vec<_> = self
            .records
            .iter()
            .map(|(kind, n)| format!("{n} {kind}"))
            .collect();
        let lost: Vec<_> = self
            .lost
            .iter()
            .map(|(program, n)| format!("{n} in {program}"))
            .collect();
        write!(
            f,
            "recorded {total} events in {seconds:.1} s ({})",
            kinds.join(", ")
        )?;
        let lost = if lost.is_empty() {
            "none".to_owned()
        } else {
            lost.join(", ")
        };
        write!(f, "; lost: {lost}; {:.1} MB", self.bytes as f64 / 1e6)?;
        let share = |ns: Nanos| 100.0 * ns as f64 / self.duration_ns.max(1) as f64;
        write!(
            f,
            "; tracer: {:.1} % of one CPU, {} MB resident at most",
            share(self.cpu_ns),
            self.peak_rss_bytes >> 20
        )?;
        if self.kernel_ns.is_empty() {
            return Ok(());
        }
        let all = self.kernel_ns.values().sum();
        let files = self.kernel_ns.iter().filter(|(name, _)| is_file_hook(name));
        let files = files.map(|(_, ns)| ns).sum();
        write!(
            f,
            "; its programs in the kernel: {:.1} %, of that files {:.2} %",
            share(all),
            share(files)
        )
    }
}
