//! Other sessions write rows into a page that the app writes to, and have a slow disk.
//!
//! Whoever has PostgreSQL write its log holds a lightweight lock meanwhile (WALWrite), and whoever writes into a
//! page holds that page's (BufferContent). Between fast sessions such waits last microseconds. So the kernel lets
//! these sessions write to the disk only so often: all others wait as long for their locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tierscope_stack::Session;

use super::cgroup::Cgroup;
use super::joined::joined;
use super::limit::{Disk, Limit};
use super::{Hit, Injector, Site, clock::now};
use crate::error::{Error, Result};

/// A row into the pages that the app's own orders go into: its table's and its indexes' last.
const WRITE: &str = "INSERT INTO orders (user_id, product_id, quantity, total_cents, status) \
                     VALUES (1, 1, 1, 1, 'new');";
/// Who of the app's waits for a lightweight lock, and for which.
const ASK: &str = "SELECT count(*), coalesce(string_agg(DISTINCT wait_event, '+'), '') FROM pg_stat_activity \
                   WHERE usename = 'lab' AND wait_event_type = 'LWLock';";
/// How often that is asked.
const LOOK: Duration = Duration::from_millis(2);
/// Waits so close to each other are one: the lock goes from one writer to the next.
const APART: u64 = 15_000_000;

/// How hot the page is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HotPage {
    /// Sessions that write.
    writers: usize,
    /// How often all of them together may write to the disk, in a second.
    writes_per_second: u32,
}

impl HotPage {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Heat> {
        let disk = Disk::under(site.lab.dir())?;
        let limit = Limit::Disk {
            disk,
            reads: u32::MAX,
            writes: self.writes_per_second,
        };
        let mut writers = Vec::new();
        let mut pids = Vec::new();
        for _ in 0..self.writers {
            let mut session = site.lab.session()?;
            let pid = session.run("SELECT pg_backend_pid();")?;
            pids.push(pid.trim().parse::<u32>().map_err(failed)?);
            writers.push(session);
        }
        let first = pids.first().ok_or_else(|| failed("no writers"))?;
        let cgroup = Cgroup::new(*first, limit)?;
        for pid in &pids {
            cgroup.take(*pid).map_err(failed)?;
        }
        Ok(Heat {
            writers,
            watch: Some(site.lab.session()?),
            at_work: None,
            _cgroup: cgroup,
        })
    }
}

/// The sessions, in the order in which they are let go: what they are in goes last.
pub(super) struct Heat {
    writers: Vec<Session>,
    watch: Option<Session>,
    at_work: Option<AtWork>,
    _cgroup: Cgroup,
}

struct AtWork {
    over: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Result<Session>>>,
    watch: JoinHandle<Result<(Session, Vec<Hit>)>>,
}

impl Injector for Heat {
    fn begin(&mut self) -> Result<()> {
        let Some(watch) = self.watch.take() else {
            return Err(failed("it is at work already"));
        };
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let watch = thread::spawn(move || look(watch, &told));
        let writers = self.writers.drain(..).map(|session| {
            let told = over.clone();
            thread::spawn(move || write(session, &told))
        });
        self.at_work = Some(AtWork {
            writers: writers.collect(),
            over,
            watch,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(at_work) = self.at_work.take() else {
            return Ok(Vec::new());
        };
        at_work.over.store(true, Ordering::Relaxed);
        for writer in at_work.writers {
            self.writers.push(joined(writer.join())?);
        }
        let (watch, hits) = joined(at_work.watch.join())?;
        self.watch = Some(watch);
        Ok(hits)
    }
}

impl Drop for Heat {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`.
        let _ = self.end();
    }
}

fn write(mut session: Session, over: &AtomicBool) -> Result<Session> {
    while !over.load(Ordering::Relaxed) {
        session.run(WRITE)?;
    }
    Ok(session)
}

/// When the app's backends waited for lightweight locks, as PostgreSQL tells of itself.
fn look(mut session: Session, over: &AtomicBool) -> Result<(Session, Vec<Hit>)> {
    let mut hits: Vec<Hit> = Vec::new();
    // Those who waited when the writers ended wait for them still.
    let mut last = false;
    while !last {
        last = over.load(Ordering::Relaxed);
        let from_ns = now();
        let told = session.run(ASK)?;
        let to_ns = now();
        let (waiting, locks) = told.split_once('|').unwrap_or_default();
        if waiting.trim() != "0" && !locks.is_empty() {
            last = false;
            match hits.last_mut() {
                Some(hit) if from_ns - hit.to_ns < APART => hit.to_ns = to_ns,
                _ => hits.push(hit(from_ns, to_ns, locks)),
            }
        }
        thread::sleep(LOOK);
    }
    Ok((session, hits))
}

fn hit(from_ns: u64, to_ns: u64, locks: &str) -> Hit {
    Hit {
        from_ns,
        to_ns,
        request: None,
        magnitude_ns: None,
        clients: Vec::new(),
        what: format!("backends of the app's waited for {locks}"),
    }
}

fn failed(reason: impl ToString) -> Error {
    Error::Inject {
        fault: "hot-page",
        reason: reason.to_string(),
    }
}
