//! What the kernel saw: loading the BPF programs, the probes they attach to, their records and the recording file.
//!
//! [`Tracer`] talks to the kernel; everything after its ring buffer is pure and runs without root.

mod accept;
mod clock;
mod counters;
mod decode;
mod detail;
mod error;
mod globals;
pub mod hooks;
pub mod host;
mod inode;
mod kernel;
mod misses;
mod processes;
pub mod recorder;
pub mod recording;
mod scrub;
mod stack;
mod tracer;
pub mod usdt;
mod walk;
pub mod wire_record;

pub use counters::ProgramCounts;
pub use decode::{DecodeError, decode};
pub use detail::Detail;
pub use error::TracerError;
pub use hooks::HookReport;
pub use host::{HostReport, probe_host};
pub use scrub::Scrubber;
pub use tierscope_wire::Keep;
pub use tracer::{ProgramStats, Service, Tracer, TracerOptions};
