//! `traces.jsonl` under way, with an index of what stands where.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use tierscope_model::{Nanos, RequestId, Trace};

use crate::assembly::is_health;
use crate::error::{Error, Result};
use crate::folder::private_file;

/// Where one whole trace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    duration: Nanos,
    id: Option<RequestId>,
    offset: u64,
    length: usize,
}

/// A slow trace and a typical one of the same endpoint: the two that tell a run's story.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The median of the endpoint's whole, undisturbed traces.
    pub typical: Trace,
    /// The slowest.
    pub slow: Trace,
}

/// One JSON line per trace.
#[derive(Debug)]
pub struct TraceLog {
    path: PathBuf,
    file: BufWriter<File>,
    offset: u64,
    /// Whole traces by endpoint, health checks left out.
    endpoints: BTreeMap<String, Vec<Entry>>,
    /// Traces written.
    pub count: u64,
}

impl TraceLog {
    /// Makes the file, readable by its owner only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(path: PathBuf) -> Result<TraceLog> {
        let file = BufWriter::new(private_file(&path)?);
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

    /// Closes the file and reads the pair back: of the endpoint that has faulty requests, else of the one
    /// whose slowest trace is furthest above its median.
    ///
    /// # Errors
    /// The file cannot be written or read.
    pub fn finish(mut self, faulty: &HashSet<RequestId>) -> Result<Option<Pair>> {
        self.file.flush().map_err(Error::write(&self.path))?;
        let is_faulty = |entry: &Entry| entry.id.is_some_and(|id| faulty.contains(&id));
        let pairs = std::mem::take(&mut self.endpoints)
            .into_values()
            .filter_map(|mut list| {
                list.sort_unstable();
                let slow = *list.last()?;
                list.retain(|entry| !is_faulty(entry));
                Some((*list.get(list.len() / 2)?, slow))
            });
        let best = pairs.max_by_key(|(typical, slow)| {
            (
                is_faulty(slow),
                slow.duration.saturating_sub(typical.duration),
            )
        });
        let Some((typical, slow)) = best else {
            return Ok(None);
        };
        Ok(Some(Pair {
            typical: self.read(typical)?,
            slow: self.read(slow)?,
        }))
    }

    fn read(&self, entry: Entry) -> Result<Trace> {
        let mut line = vec![0; entry.length];
        let mut file = File::open(&self.path).map_err(Error::read(&self.path))?;
        file.seek(SeekFrom::Start(entry.offset))
            .and_then(|_| file.read_exact(&mut line))
            .map_err(Error::read(&self.path))?;
        serde_json::from_slice(&line).map_err(|e| Error::read(&self.path)(e.into()))
    }
}
