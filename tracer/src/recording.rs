//! The recording file (`.tsrec`): a header that says how it was made, then blocks of records.
//!
//! ```text
//! file   = "TSREC\r\n\x01"  length u32  JSON  CRC-32 u32  block*
//! block  = "TSBK"  codec u32  records u32  raw length u32  stored length u32  CRC-32 u32  stored bytes
//! ```
//!
//! Integers are little-endian. Records are those of `events.h`, one behind the other, scrubbed; a block holds
//! whole ones. A block's CRC-32 (IEEE) is of its header up to there and its stored bytes.

mod block;
mod growing;
mod header;
mod host;
mod kinds;
mod reader;
mod writer;

pub use growing::Growing;
pub use header::{ClockAnchor, FORMAT, Header, ProcessEntry, ServiceEntry};
pub use reader::{ReadError, Reader, Torn};
pub use writer::{Totals, WriteError, Writer};
