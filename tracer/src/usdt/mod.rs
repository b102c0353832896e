//! USDT: the probes that programs bring along, which aya does not know.

pub mod arg;
pub(crate) mod attach;
pub mod note;
pub mod probe;
pub(crate) mod program;
mod single;

use thiserror::Error;

/// Why a probe could not be attached.
#[derive(Debug, Error)]
pub enum UsdtError {
    /// The binary is not there or not readable.
    #[error("cannot read {path}")]
    Read {
        /// The binary.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no ELF file, or a broken one.
    #[error("{path} is not an ELF file that can be traced")]
    Elf {
        /// The binary.
        path: std::path::PathBuf,
        /// Why.
        source: object::Error,
    },
    /// An argument is where we cannot look.
    #[error("probe {probe}: {source}")]
    Arg {
        /// `provider:name`.
        probe: String,
        /// Why.
        source: arg::ArgError,
    },
    /// The table of probe locations is full.
    #[error("more than {max} probe locations: trace fewer binaries at once")]
    TooMany {
        /// Its size.
        max: u32,
    },
}
