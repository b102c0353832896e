//! The database's pages are dropped from the kernel's cache again and again: what PostgreSQL has not in
//! its own buffers it reads from the disk.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use serde::{Deserialize, Serialize};

use super::ticker::Ticker;
use super::{Hit, Injector, Site};
use crate::error::{Error, Result};

/// Only the lab's own files: nobody else's cache suffers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ColdCache {
    /// How often, in milliseconds.
    every_ms: u64,
}

impl ColdCache {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Dropper> {
        // Pages that are to be written are not dropped.
        site.lab.ask("CHECKPOINT;")?;
        let relation = site.lab.ask("SELECT pg_relation_filepath('products');")?;
        let data = site.lab.dir().join("postgres").join(relation.trim());
        Ok(Dropper {
            folder: data.parent().map(Path::to_path_buf).unwrap_or_default(),
            every: Duration::from_millis(self.every_ms),
            ticker: None,
        })
    }
}

pub(super) struct Dropper {
    folder: PathBuf,
    every: Duration,
    ticker: Option<Ticker>,
}

impl Injector for Dropper {
    fn begin(&mut self) -> Result<()> {
        let folder = self.folder.clone();
        self.ticker = Some(Ticker::start(self.every, move || drop_pages(&folder))?);
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let what = |times| format!("pages dropped {times} times");
        let hit = self.ticker.take().map(|ticker| ticker.end(what));
        hit.into_iter().collect()
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

fn failed(reason: impl ToString) -> Error {
    Error::Inject {
        fault: "cold-cache",
        reason: reason.to_string(),
    }
}
