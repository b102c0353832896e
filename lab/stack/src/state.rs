//! `lab.json`: what runs in the directory, and how it was started.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    options::LabOptions,
    process::ProcessRecord,
};

/// Its name in the private directory.
pub const FILE: &str = "lab.json";

/// Its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The private directory.
    pub dir: PathBuf,
    /// Seconds since the Unix epoch.
    pub started_at: u64,
    /// In the order in which they were started.
    pub processes: Vec<ProcessRecord>,
    /// Everything in the directory that runs one of these files belongs to the lab.
    pub programs: Vec<PathBuf>,
    /// What `up` was asked for.
    pub options: LabOptions,
}

impl State {
    /// Reads it; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::State`] when it is damaged.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| Error::State { path, source })
    }

    /// Writes it, whole or not at all.
    pub fn write(&self) -> Result<()> {
        let path = self.dir.join(FILE);
        let partial = self.dir.join("lab.json.new");
        let text = serde_json::to_vec_pretty(self).map_err(|source| Error::State {
            path: path.clone(),
            source,
        })?;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| std::fs::rename(&partial, &path))
            .map_err(Error::io("write", path))
    }
}
