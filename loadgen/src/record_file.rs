//! `client.jsonl`: one JSON line per record, readable by its owner alone.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{error::LoadError, record::Record};

/// A file being written.
pub struct RecordFile {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl RecordFile {
    /// Creates `path`, in place of what was there.
    pub fn create(path: &Path) -> Result<Self, LoadError> {
        let file = private(path).map_err(|source| failed(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::new(file),
        })
    }

    /// Adds a line.
    pub fn write(&mut self, record: &Record) -> Result<(), LoadError> {
        serde_json::to_writer(&mut self.writer, record)
            .map_err(io::Error::from)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(|source| failed(&self.path, source))
    }

    /// Writes what is still buffered.
    pub fn finish(mut self) -> Result<(), LoadError> {
        self.writer
            .flush()
            .map_err(|source| failed(&self.path, source))
    }
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path)?;
    // `mode` says nothing about a file that was there before; a device or pipe stays as it is.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn failed(path: &Path, source: io::Error) -> LoadError {
    LoadError::Records {
        path: path.to_owned(),
        source,
    }
}
