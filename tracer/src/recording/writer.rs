//! Writes a recording, a block at a time.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tierscope_model::Timestamp;
use zerocopy::FromBytes;

use super::kinds::KINDS;
use super::{Header, block};
use crate::wire_record::ts_head;

/// A block is written when it holds so many bytes of records …
const FLUSH_BYTES: usize = 256 << 10;
/// … or its first record is so old (ns). With a tick every 20 ms, none waits for 100 ms.
const FLUSH_AGE: u64 = 75_000_000;

/// Why a recording could not be made.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The file cannot be made.
    #[error("cannot create the recording {}: {source}", path.display())]
    Create {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A block cannot be written.
    #[error(
        "cannot write to the recording {}: {source}; it reads up to byte {whole}: make room, then record anew",
        path.display()
    )]
    Write {
        /// Its path.
        path: PathBuf,
        /// Length of what was written whole.
        whole: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that are no record.
    #[error(
        "a record of {0} bytes does not say its kind and its length: this is an error in tierscope"
    )]
    Record(usize),
}

/// What a recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records by kind.
    pub records: BTreeMap<&'static str, u64>,
    /// Length of the file.
    pub bytes: u64,
    /// Blocks.
    pub blocks: u64,
}

/// A recording under way. Dropping it without [`finish`](Writer::finish) leaves what was flushed.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    raw: Vec<u8>,
    packed: Vec<u8>,
    records: u32,
    oldest: Timestamp,
    /// By `ts_kind`; unknown ones at 0.
    kinds: [u64; KINDS.len() + 1],
    totals: Totals,
}

impl Writer {
    /// Makes the file, readable by its owner only, and writes its header.
    ///
    /// # Errors
    ///
    /// When the file is there already (unless `replace`), cannot be made or not be written.
    pub fn create(path: &Path, header: &Header, replace: bool) -> Result<Writer, WriteError> {
        let create = |source| WriteError::Create {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        if replace {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        let file = options.open(path).map_err(create)?;
        // For as long as this process lives: who reads meanwhile waits for more. Not every file system locks.
        let _ = file.try_lock();
        if file.metadata().map_err(create)?.is_file() {
            // A file that is replaced keeps its mode.
            file.set_permissions(Permissions::from_mode(0o600))
                .map_err(create)?;
        }
        let mut writer = Writer {
            file,
            path: path.to_owned(),
            raw: Vec::with_capacity(FLUSH_BYTES + usize::from(u16::MAX)),
            packed: header.to_bytes().map_err(create)?,
            records: 0,
            oldest: Timestamp(0),
            kinds: [0; KINDS.len() + 1],
            totals: Totals::default(),
        };
        writer.write()?;
        Ok(writer)
    }

    /// Takes one record in.
    ///
    /// # Errors
    ///
    /// When a full block cannot be written.
    pub fn record(&mut self, record: &[u8]) -> Result<(), WriteError> {
        let head = ts_head::read_from_prefix(record).map(|(head, _)| head);
        let head = head
            .ok()
            .filter(|head| usize::from(head.len) == record.len());
        let head = head.ok_or(WriteError::Record(record.len()))?;
        if self.raw.is_empty() {
            self.oldest = Timestamp(head.ts);
        }
        self.raw.extend_from_slice(record);
        self.records += 1;
        let kind = usize::from(head.kind);
        self.kinds[if kind <= KINDS.len() { kind } else { 0 }] += 1;
        if self.raw.len() >= FLUSH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the block under way if it is old enough; call it every 20 ms with the time of CLOCK_MONOTONIC.
    ///
    /// # Errors
    ///
    /// When the block cannot be written.
    pub fn tick(&mut self, now: Timestamp) -> Result<(), WriteError> {
        if now.since(self.oldest) >= FLUSH_AGE {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is left and the mark of the end, a block without records, and says what the file holds.
    ///
    /// # Errors
    ///
    /// When the last block cannot be written.
    pub fn finish(mut self) -> Result<Totals, WriteError> {
        self.flush()?;
        block::pack(&[], 0, &mut self.packed);
        self.write()?;
        let names = ["unknown"].into_iter().chain(KINDS);
        self.totals.records = names
            .zip(self.kinds)
            .filter(|(_, count)| *count > 0)
            .collect();
        Ok(self.totals)
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        if self.raw.is_empty() {
            return Ok(());
        }
        block::pack(&self.raw, self.records, &mut self.packed);
        // What cannot be written is not tried again.
        self.raw.clear();
        self.records = 0;
        self.write()?;
        self.totals.blocks += 1;
        Ok(())
    }

    fn write(&mut self) -> Result<(), WriteError> {
        let whole = self.totals.bytes;
        let written = self.file.write_all(&self.packed);
        self.totals.bytes += self.packed.len() as u64;
        self.packed.clear();
        written.map_err(|source| {
            self.totals.bytes = whole;
            // The start of a block reads as a torn tail where it cannot be taken back.
            let _ = self.file.set_len(whole);
            WriteError::Write {
                path: self.path.clone(),
                whole,
                source,
            }
        })
    }
}
