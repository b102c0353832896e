//! `traces.jsonl` under way, with an index of what stands where.
//!
//! It gets its name when it is whole: what is called `traces.jsonl` is never half a file, and an
//! assembly that fails leaves an earlier one as it was.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tierscope_model::{Nanos, RequestId, Trace};

use crate::assembly::is_health;
use crate::error::{Error, Result};

/// Where one whole trace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    duration: Nanos,
    id: Option<RequestId>,
    offset: u64,
    length: usize,
}

/// A slow trace and the median one of the same endpoint: the two that tell a run's story.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The median of the endpoint's whole, undisturbed traces.
    pub median: Trace,
    /// The slowest.
    pub slow: Trace,
}

/// One JSON line per trace.
#[derive(Debug)]
pub struct TraceLog {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    offset: u64,
    /// Whole traces by endpoint, health checks left out.
    endpoints: BTreeMap<String, Vec<Entry>>,
    /// Traces written.
    pub count: u64,
}

impl TraceLog {
    /// Makes the file beside its place, readable by its owner only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(path: PathBuf) -> Result<TraceLog> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        let file = BufWriter::new(file.map_err(Error::write(&path))?);
        Ok(TraceLog {
            path,
            file,
            offset: 0,
            endpoints: BTreeMap::new(),
            count: 0,
        })
    }

    /// Writes a trace.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, trace: &Trace) -> Result<()> {
        let mut line = serde_json::to_vec(trace).map_err(|e| Error::write(&self.path)(e.into()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(Error::write(&self.path))?;
        if trace.incomplete.is_empty() && !is_health(trace) {
            let (duration, id) = (trace.duration(), trace.request_id);
            let entry = Entry {
                duration,
                id,
                offset: self.offset,
                length: line.len(),
            };
            self.endpoints
                .entry(trace.endpoint.clone())
                .or_default()
                .push(entry);
        }
        self.offset += line.len() as u64;
        self.count += 1;
        Ok(())
    }

    /// Puts the file in its place and reads the pair back: of the endpoint that has faulty requests, else of the one
    /// whose slowest trace is furthest above its median.
    ///
    /// # Errors
    /// The file cannot be written or read.
    pub fn finish(self, faulty: &HashSet<RequestId>) -> Result<Option<Pair>> {
        let file = self.file.into_inner().map_err(|e| e.into_error());
        let file = file.and_then(|file| file.persist(&self.path).map_err(|e| e.error));
        file.map_err(Error::write(&self.path))?;
        let is_faulty = |entry: &Entry| entry.id.is_some_and(|id| faulty.contains(&id));
        let pairs = self.endpoints.into_values().filter_map(|mut list| {
            list.sort_unstable();
            let slow = *list.last()?;
            list.retain(|entry| !is_faulty(entry));
            Some((*list.get(list.len() / 2)?, slow))
        });
        let best = pairs.max_by_key(|(median, slow)| {
            (
                is_faulty(slow),
                slow.duration.saturating_sub(median.duration),
            )
        });
        let Some((median, slow)) = best else {
            return Ok(None);
        };
        Ok(Some(Pair {
            median: read(&self.path, median)?,
            slow: read(&self.path, slow)?,
        }))
    }
}

fn read(path: &Path, entry: Entry) -> Result<Trace> {
    let mut line = vec![0; entry.length];
    let mut file = std::fs::File::open(path).map_err(Error::read(path))?;
    file.seek(SeekFrom::Start(entry.offset))
        .and_then(|_| file.read_exact(&mut line))
        .map_err(Error::read(path))?;
    serde_json::from_slice(&line).map_err(|e| Error::read(path)(e.into()))
}
