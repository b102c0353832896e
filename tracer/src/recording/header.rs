//! What a recording says about how it was made.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use tierscope_model::{Sample, Timestamp};

use super::host;
use super::kinds::{FILTERS, PROGRAMS};
use crate::HookReport;

/// Version of the file's format; a reader refuses a later one.
pub const FORMAT: u32 = 3;
/// First bytes of a recording; the line end shows a transfer in text mode.
pub(super) const MAGIC: [u8; 8] = *b"TSREC\r\n\x01";
/// The setting that tells of the sample: its share.
const SAMPLE: &str = "sample";
/// Longest JSON header that is read, in bytes.
pub(super) const MAX_JSON: usize = 4 << 20;

/// The file's header, JSON. Sockets that were open at the start follow as SOCKET records of role FOUND.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Version of tierscope.
    pub tool_version: String,
    /// How it was called, program first.
    pub command_line: Vec<String>,
    /// `uname -r`.
    pub kernel_release: String,
    /// `/proc/sys/kernel/random/boot_id`: times of two recordings compare only within one boot.
    pub boot_id: String,
    /// Host name.
    pub hostname: String,
    /// Wall-clock time of a record's time.
    pub clock_anchor: ClockAnchor,
    /// Every hook and what became of it.
    pub hooks: Vec<HookReport>,
    /// Traced services, in the order of a PROCESS record's `service`.
    pub services: Vec<ServiceEntry>,
    /// Processes traced from the start.
    pub processes: Vec<ProcessEntry>,
    /// Names by a LOSS record's `program`.
    pub programs: Vec<String>,
    /// Names by a FILTERED record's `reason`.
    pub filters: Vec<String>,
    /// Settings of the recorder by name.
    pub settings: BTreeMap<String, String>,
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// CLOCK_MONOTONIC, as in records.
    pub monotonic_ns: Timestamp,
    /// CLOCK_REALTIME, nanoseconds since 1970.
    pub wall_ns: u64,
}

/// A traced service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEntry {
    /// Its name.
    pub name: String,
    /// Processes that it was given by.
    pub pids: Vec<u32>,
}

/// A process traced from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEntry {
    /// Process id.
    pub pid: u32,
    /// Index in [`Header::services`].
    pub service: u32,
    /// Name (`/proc/PID/comm`).
    pub comm: String,
    /// Binary (`/proc/PID/exe`); empty where it cannot be read.
    pub exe: String,
    /// When it started: clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_ticks: u64,
}

impl Header {
    /// A header with this host's facts, nothing traced yet.
    ///
    /// # Errors
    ///
    /// When the host's clocks, name or boot id cannot be read.
    pub fn of_this_host(tool_version: &str, command_line: Vec<String>) -> io::Result<Header> {
        let uname = nix::sys::utsname::uname()?;
        Ok(Header {
            format: FORMAT,
            tool_version: tool_version.to_owned(),
            command_line,
            kernel_release: uname.release().to_string_lossy().into_owned(),
            boot_id: host::boot_id()?,
            hostname: uname.nodename().to_string_lossy().into_owned(),
            clock_anchor: host::clock_anchor()?,
            hooks: Vec::new(),
            services: Vec::new(),
            processes: Vec::new(),
            programs: PROGRAMS.map(str::to_owned).to_vec(),
            filters: FILTERS.map(str::to_owned).to_vec(),
            settings: BTreeMap::new(),
        })
    }

    /// Events of the kernel's for which it had no hook: what they show is not measured in this recording.
    pub fn unmeasured(&self) -> Vec<String> {
        let missing = |hook: &&HookReport| !hook.attached && hook.kind != "usdt";
        let missing = self.hooks.iter().filter(missing);
        missing.map(|hook| hook.event.clone()).collect()
    }

    /// Which requests it holds, from its settings; `None`: all.
    pub fn sample(&self) -> Option<Sample> {
        self.settings.get(SAMPLE)?.parse().ok()
    }

    /// Puts the sample, if there is one, into its settings.
    pub(crate) fn set_sample(&mut self, sample: Option<Sample>) {
        let setting = sample.map(|sample| (SAMPLE.to_owned(), sample.to_string()));
        self.settings.extend(setting);
    }

    /// The file's first bytes.
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len())
            .ok()
            .filter(|&length| length as usize <= MAX_JSON);
        let length = length.ok_or_else(|| io::Error::other("its header is over 4 MiB"))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(&json);
        bytes.extend(crc32fast::hash(&json).to_le_bytes());
        Ok(bytes)
    }

    /// Reads the file's first bytes and says how many they are; the error says what is wrong with them.
    pub(super) fn read(file: &mut impl Read) -> Result<(Header, u64), HeaderError> {
        let mut start = [0; 12];
        file.read_exact(&mut start)?;
        let (magic, length) = start.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(HeaderError::Magic);
        }
        let length = length
            .iter()
            .rev()
            .fold(0, |length, &byte| length << 8 | usize::from(byte));
        if length > MAX_JSON {
            return Err(HeaderError::Damaged);
        }
        let mut json = vec![0; length];
        let mut crc = [0; 4];
        file.read_exact(&mut json)?;
        file.read_exact(&mut crc)?;
        if crc32fast::hash(&json) != u32::from_le_bytes(crc) {
            return Err(HeaderError::Damaged);
        }
        let Version { format } = serde_json::from_slice(&json)?;
        if format != FORMAT {
            return Err(HeaderError::Version(format));
        }
        let len = start.len() + length + crc.len();
        Ok((serde_json::from_slice(&json)?, len as u64))
    }
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Why a file's first bytes are not a header.
#[derive(Debug)]
pub(super) enum HeaderError {
    Io(io::Error),
    Magic,
    Damaged,
    Version(u32),
    Json(serde_json::Error),
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> HeaderError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => HeaderError::Damaged,
            _ => HeaderError::Io(error),
        }
    }
}

impl From<serde_json::Error> for HeaderError {
    fn from(error: serde_json::Error) -> HeaderError {
        HeaderError::Json(error)
    }
}
