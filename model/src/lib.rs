//! The words that every part of tierscope shares: ids, times, events, spans, traces.
//!
//! Nothing here reads a clock, a file or the kernel.

mod attribute;
mod event;
mod evidence;
mod id;
mod name;
mod sample;
mod slice;
mod span;
mod time;
mod trace;

pub use attribute::{Attributes, Key, Value};
pub use event::{
    Accepted, Arrive, Before, Block, BlockOperation, Body, Buffers, Close, Dropped, Event, File,
    FileId, FileName, FileOperation, Filtered, Loss, Off, Probe, Process, ProcessChange, Protocol,
    Recv, Retransmit, Send, Skipped, Socket, SocketRole, Stack, Switch, Transmit, Turned, Usdt,
};
pub use evidence::{Evidence, Link};
pub use id::{IdError, RequestId, SocketCookie, SpanId, TraceId};
pub use name::attr;
pub use sample::{Sample, SampleError};
pub use slice::{Doing, Slice};
pub use smol_str::SmolStr;
pub use span::{Resource, Span, SpanEvent, SpanKind, Status};
pub use time::{Nanos, Timestamp};
pub use trace::{Incomplete, Trace};
