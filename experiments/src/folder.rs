//! The folder that one run lives in.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Name in a run's folder: what the tracer saw.
pub const RECORDING: &str = "recording.tsrec";
/// Name in a run's folder: the requests' traces, one JSON line each.
pub const TRACES: &str = "traces.jsonl";

/// `runs/<time>-<experiment>/`, readable by its owner only.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a new folder in `runs`, named after the time (UTC, to the second) and the experiment.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn create(runs: &Path, unix_seconds: u64, name: &str) -> Result<Folder> {
        fs::create_dir_all(runs).map_err(Error::write(runs))?;
        let stem = format!("{}-{name}", stamp(unix_seconds));
        let mut path = runs.join(&stem);
        for n in 2.. {
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    path = runs.join(format!("{stem}-{n}"))
                }
                Err(source) => return Err(Error::Write { path, source }),
            }
        }
        let folder = Folder(path);
        for sub in ["waterfalls", "logs"] {
            let path = folder.path(sub);
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(Error::write(&path))?;
        }
        Ok(folder)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What the tracer saw.
    pub fn recording(&self) -> PathBuf {
        self.path(RECORDING)
    }

    /// What the load generator saw.
    pub fn client(&self) -> PathBuf {
        self.path("client.jsonl")
    }

    /// The load generator's summary.
    pub fn load_log(&self) -> PathBuf {
        self.path("logs/load.json")
    }

    /// Writes text into a new file that only its owner reads.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        let mut file = BufWriter::new(private_file(&path)?);
        file.write_all(text.as_bytes())
            .and_then(|()| file.flush())
            .map_err(Error::write(&path))?;
        Ok(path)
    }

    /// Writes one JSON value a line, as [`write_lines`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_lines<T: Serialize>(
        &self,
        name: &str,
        lines: impl IntoIterator<Item = T>,
    ) -> Result<()> {
        write_lines(&self.path(name), lines)
    }
}

/// Writes one JSON value a line into a new file that only its owner reads.
///
/// # Errors
/// The file cannot be written.
pub fn write_lines<T: Serialize>(path: &Path, lines: impl IntoIterator<Item = T>) -> Result<()> {
    let mut file = BufWriter::new(private_file(path)?);
    for line in lines {
        serde_json::to_writer(&mut file, &line).map_err(|e| Error::write(path)(e.into()))?;
        file.write_all(b"\n").map_err(Error::write(path))?;
    }
    file.flush().map_err(Error::write(path))
}

/// Writes a value as JSON into a new file that only its owner reads.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut file = BufWriter::new(private_file(path)?);
    serde_json::to_writer(&mut file, value).map_err(|e| Error::write(path)(e.into()))?;
    file.flush().map_err(Error::write(path))
}

/// Reads a file of one JSON value a line and hands over each.
///
/// # Errors
/// The file cannot be read, or a line is not what it should be (with its number).
pub fn each_line<T: DeserializeOwned>(path: &Path, sink: &mut dyn FnMut(T)) -> Result<()> {
    each_line_if(path, &mut || Ok(true), sink)
}

/// The same; `is_wanted` is asked before each line, and those that are not wanted are passed over.
///
/// # Errors
/// As [`each_line`], or what `is_wanted` says.
pub(crate) fn each_line_if<T: DeserializeOwned>(
    path: &Path,
    is_wanted: &mut dyn FnMut() -> Result<bool>,
    sink: &mut dyn FnMut(T),
) -> Result<()> {
    let file = fs::File::open(path).map_err(Error::read(path))?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    for at in 1.. {
        line.clear();
        if file
            .read_until(b'\n', &mut line)
            .map_err(Error::read(path))?
            == 0
        {
            break;
        }
        if is_wanted()? {
            let value = serde_json::from_slice(&line).map_err(|source| Error::Line {
                path: path.into(),
                line: at,
                source,
            })?;
            sink(value);
        }
    }
    Ok(())
}

/// Reads a file of one JSON value a line.
///
/// # Errors
/// As [`each_line`].
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut values = Vec::new();
    each_line(path, &mut |value| values.push(value))?;
    Ok(values)
}

/// Makes (or empties) a file that only its owner reads.
///
/// # Errors
/// The file cannot be made.
pub fn private_file(path: &Path) -> Result<fs::File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.map_err(Error::write(path))
}

/// `2026-11-20T14-05-09Z`: sorts by time and needs no quoting.
fn stamp(unix_seconds: u64) -> String {
    let time = i64::try_from(unix_seconds)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.unwrap_or_default()
        .strftime("%Y-%m-%dT%H-%M-%SZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_utc() {
        assert_eq!(stamp(0), "1970-01-01T00-00-00Z");
        assert_eq!(stamp(1_709_210_096), "2024-02-29T12-34-56Z");
    }

    #[test]
    fn two_runs_in_one_second_get_two_folders() {
        let runs = tempfile::tempdir().expect("a folder");
        let a = Folder::create(runs.path(), 1, "x").expect("made");
        let b = Folder::create(runs.path(), 1, "x").expect("made");
        assert_ne!(a.root(), b.root());
    }
}
