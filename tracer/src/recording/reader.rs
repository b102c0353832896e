//! Reads a recording, a block at a time: memory is bounded by one block, whatever the file says.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tierscope_model::Event;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::block::BlockHeader;
use super::header::HeaderError;
use super::{FORMAT, Header};
use crate::wire_record::ts_head;
use crate::{DecodeError, decode};

/// Why a recording, or a part of it, could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a recording.
    #[error("{} is not a tierscope recording: make one with `tierscope record`", path.display())]
    NotARecording {
        /// Its path.
        path: PathBuf,
    },
    /// The header is cut or changed.
    #[error("the header of {} is damaged: record anew, or take a copy that was made in binary mode", path.display())]
    Header {
        /// Its path.
        path: PathBuf,
    },
    /// The header is not what it should be.
    #[error("the header of {} cannot be understood: {source}", path.display())]
    Json {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Another version made it.
    #[error("{} has format {format}, this tierscope reads {FORMAT}: use the one that wrote it", path.display())]
    Version {
        /// Its path.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// A block that is not what was written, and more behind it. Nothing is read beyond it.
    #[error("the recording is damaged at byte {offset}: what comes before is sound")]
    Block {
        /// Where the block begins in the file.
        offset: u64,
    },
    /// A record that is not what it should be. Reading goes on behind it.
    #[error("byte {at} of the block at byte {offset} of the recording: {source}")]
    Record {
        /// Where the block begins in the file.
        offset: u64,
        /// Where the record begins in the block, unpacked.
        at: usize,
        /// What is wrong.
        source: DecodeError,
    },
}

/// The end of a file whose last block is not whole: the writer was killed, or the disk was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where the sound part of the file ends.
    pub offset: u64,
    /// Bytes behind it.
    pub bytes: u64,
}

/// A recording's events, in the order of the file.
///
/// Records of a kind that a later version added are counted and passed over.
#[derive(Debug)]
pub struct Reader<R> {
    file: R,
    path: PathBuf,
    header: Header,
    stored: Vec<u8>,
    raw: Vec<u8>,
    /// The next record in `raw`.
    at: usize,
    /// Where the block in `raw` begins in the file, and where it ends.
    block: u64,
    offset: u64,
    torn: Option<Torn>,
    /// The last block was the mark of the end.
    ended: bool,
    unknown: u64,
    done: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a recording and reads its header.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not a recording.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        match File::open(path) {
            Ok(file) => Reader::new(BufReader::new(file), path),
            Err(source) => Err(ReadError::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

impl<R: Read> Reader<R> {
    /// Reads a recording's header from `file`; `path` is for errors.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not a recording.
    pub fn new(mut file: R, path: &Path) -> Result<Reader<R>, ReadError> {
        let path = path.to_owned();
        match Header::read(&mut file) {
            Ok((header, offset)) => Ok(Reader {
                file,
                path,
                header,
                stored: Vec::new(),
                raw: Vec::new(),
                at: 0,
                block: offset,
                offset,
                torn: None,
                ended: false,
                unknown: 0,
                done: false,
            }),
            Err(HeaderError::Io(source)) => Err(ReadError::Io { path, source }),
            Err(HeaderError::Magic) => Err(ReadError::NotARecording { path }),
            Err(HeaderError::Damaged) => Err(ReadError::Header { path }),
            Err(HeaderError::Version(format)) => Err(ReadError::Version { path, format }),
            Err(HeaderError::Json(source)) => Err(ReadError::Json { path, source }),
        }
    }

    /// How the recording was made.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The torn end, once reading came there.
    pub fn torn(&self) -> Option<Torn> {
        self.torn
    }

    /// Whether the writer finished it, once reading came to the end. Older versions did not say so.
    pub fn is_finished(&self) -> bool {
        self.ended
    }

    /// Records of unknown kinds that were passed over so far.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// The next record of the block in hand.
    fn record(&mut self) -> Option<Result<Event, ReadError>> {
        let rest = &self.raw[self.at..];
        let said = ts_head::read_from_prefix(rest).map_or(0, |(head, _)| usize::from(head.len));
        // Without a length that fits there is no way on within the block.
        let len = if said < size_of::<ts_head>() {
            rest.len()
        } else {
            said.min(rest.len())
        };
        let (offset, at) = (self.block, self.at);
        self.at += len;
        match decode(&rest[..len]) {
            Ok(event) => Some(Ok(event)),
            Err(DecodeError::UnknownKind(_)) => {
                self.unknown += 1;
                None
            }
            Err(source) => Some(Err(ReadError::Record { offset, at, source })),
        }
    }

    /// Brings the next block to hand; false at the end.
    fn next_block(&mut self) -> Result<bool, ReadError> {
        self.block = self.offset;
        self.at = 0;
        let mut raw = std::mem::take(&mut self.raw);
        let mut header = BlockHeader::new_zeroed();
        let got = self.fill(header.as_mut_bytes())?;
        if got < size_of::<BlockHeader>() {
            return Ok(self.tear(got));
        }
        let Some(len) = header.stored_len() else {
            return Err(ReadError::Block { offset: self.block });
        };
        let mut stored = std::mem::take(&mut self.stored);
        stored.resize(len, 0);
        let body = self.fill(&mut stored)?;
        let sound = body == len && header.unpack(&stored, &mut raw);
        self.stored = stored;
        if sound {
            self.ended = raw.is_empty();
            self.raw = raw;
            self.offset += (got + len) as u64;
            return Ok(true);
        }
        // A bad block with nothing behind it is one that was not written to its end.
        match body == len && self.fill(&mut [0])? > 0 {
            true => Err(ReadError::Block { offset: self.block }),
            false => Ok(self.tear(got + body)),
        }
    }

    /// Notes that the file ends `bytes` behind its last whole block; there is no next one.
    fn tear(&mut self, bytes: usize) -> bool {
        let torn = Torn {
            offset: self.block,
            bytes: bytes as u64,
        };
        self.torn = (bytes > 0).then_some(torn);
        false
    }

    /// Reads as much of `buffer` as the file has.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(ReadError::Io {
                        path: self.path.clone(),
                        source,
                    });
                }
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            if self.at < self.raw.len() {
                match self.record() {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            match self.next_block() {
                Ok(more) => self.done = !more,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
