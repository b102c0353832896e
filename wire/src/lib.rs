//! What travels on a connection: HTTP heads and PostgreSQL messages in captured, possibly cut bytes, and
//! the scrubbing of what must not reach a disk.
//!
//! Pure functions over byte slices. Any input is fine: it is read as far as it goes, never beyond.

pub mod http;
mod keep;
pub mod postgres;
pub mod sql;

pub use keep::Keep;
