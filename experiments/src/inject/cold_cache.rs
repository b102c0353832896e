//! The database's pages are dropped from the kernel's cache again and again: what PostgreSQL has not in
//! its own buffers it reads from the disk.
//!
//! A virtual disk may be as fast as a cache. So the kernel lets the app's backends read from it only as often
//! as a disk that turns could.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use serde::{Deserialize, Serialize};

use super::backends::backends;
use super::cgroup::Cgroup;
use super::limit::{Disk, Limit};
use super::ticker::Ticker;
use super::{Hit, Injector, Site};
use crate::error::{Error, Result};

/// Only the lab's own files and processes: nobody else suffers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ColdCache {
    /// How often, in milliseconds.
    every_ms: u64,
    /// How often all backends together may read from the disk, in a second.
    reads_per_second: u32,
}

impl ColdCache {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Dropper> {
        // Pages that are to be written are not dropped.
        site.lab.ask("CHECKPOINT;")?;
        let relation = site.lab.ask("SELECT pg_relation_filepath('products');")?;
        let data = site.lab.dir().join("postgres").join(relation.trim());
        let folder = data.parent().map(Path::to_path_buf).unwrap_or_default();
        let disk = Disk::under(&folder)?;
        let backends = backends(site)?;
        let first = backends.first().ok_or_else(|| failed("no backends"))?;
        let limit = Limit::Disk {
            disk,
            reads: self.reads_per_second,
            writes: u32::MAX,
        };
        Ok(Dropper {
            cgroup: Cgroup::new(*first, limit)?,
            disk,
            backends,
            folder,
            every: Duration::from_millis(self.every_ms),
            begun: None,
        })
    }
}

pub(super) struct Dropper {
    cgroup: Cgroup,
    disk: Disk,
    backends: Vec<u32>,
    folder: PathBuf,
    every: Duration,
    begun: Option<Begun>,
}

struct Begun {
    ticker: Ticker,
    /// The backends' reads until then.
    reads: u64,
}

impl Injector for Dropper {
    fn begin(&mut self) -> Result<()> {
        let folder = self.folder.clone();
        let reads = self.cgroup.disk_reads(self.disk).map_err(failed)?;
        for pid in &self.backends {
            self.cgroup.take(*pid).map_err(failed)?;
        }
        let ticker = Ticker::start(self.every, move || drop_pages(&folder))?;
        self.begun = Some(Begun { ticker, reads });
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(begun) = self.begun.take() else {
            return Ok(Vec::new());
        };
        let reads = self.cgroup.disk_reads(self.disk).map_err(failed)? - begun.reads;
        let what = |times| format!("pages dropped {times} times, {reads} reads of the disk");
        let hit = begun.ticker.end(what)?;
        for pid in &self.backends {
            self.cgroup.give_back(*pid).map_err(failed)?;
        }
        load_pages(&self.folder)?;
        Ok(Some(hit).filter(|_| reads > 0).into_iter().collect())
    }
}

fn drop_pages(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    for entry in entries.flatten() {
        // A file may go between the listing and the opening.
        let Ok(file) = File::open(entry.path()) else {
            continue;
        };
        posix_fadvise(file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
            .map_err(failed)?;
    }
    Ok(())
}

/// Undoes it: who comes later would find the cache cold still.
fn load_pages(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    for mut file in entries.flatten().flat_map(|entry| File::open(entry.path())) {
        io::copy(&mut file, &mut io::sink()).map_err(failed)?;
    }
    Ok(())
}

fn failed(reason: impl ToString) -> Error {
    Error::Inject {
        fault: "cold-cache",
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::owner::{self, Victim, memberships};

    /// On files of this crate's: they are read, no more.
    fn dropper(pid: u32) -> Result<Dropper> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let disk = Disk::under(&folder)?;
        let limit = Limit::Disk {
            disk,
            reads: 100,
            writes: 100,
        };
        Ok(Dropper {
            cgroup: Cgroup::new(pid, limit)?,
            disk,
            backends: vec![pid],
            folder,
            every: Duration::from_millis(10),
            begun: None,
        })
    }

    #[test]
    fn its_limit_is_undone_when_its_owner_is_killed() {
        let victim = Victim::asleep();
        let pid = victim.pid();
        let before = memberships(pid);
        let dir = match dropper(pid) {
            Err(Error::Refused { reason, .. }) => return println!("skipped: {reason}"),
            dropper => dropper.expect("a limit").cgroup.dir().to_path_buf(),
        };
        let above = dir.parent().expect("a hierarchy");
        let groups = || std::fs::read_dir(above).expect("listed").count();
        owner::until("it is dropped", || !dir.exists());
        let known = groups();
        owner::killed("cold_cache::tests::owner", pid);
        owner::until("it is back", || memberships(pid) == before);
        owner::until("the group is gone", || groups() <= known);
    }

    #[test]
    #[ignore = "the owner that the test above kills"]
    fn owner() {
        owner::hold(|victim| Ok(Box::new(dropper(victim)?)));
    }
}
