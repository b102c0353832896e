//! Events in, span trees out. Pure: no kernel, no files, no clock but the events' own.
//!
//! Passes, in order: events by time ([`order`]) → connections ([`connections`]) → exchanges, messages
//! cut by content ([`http`], [`postgres`]) → what the processes said ([`app`], [`app_request`], [`backend`]) → spans
//! ([`hop`], [`handler`], [`statement`]) → trees ([`requests`], [`tree`], [`arrange`]) → checks ([`checks`]).
//! Each joins by facts only; what cannot be joined stays an orphan and is counted.

mod app;
mod app_request;
mod arrange;
mod assembler;
mod backend;
mod checks;
mod connection;
mod connections;
mod counts;
mod endpoint;
mod exchange;
mod handler;
mod hop;
mod http;
mod order;
mod piece;
mod postgres;
mod process;
mod queue;
mod requests;
mod silent;
mod span_id;
mod statement;
mod stream;
mod tally;
mod tree;
mod unseen_hop;

pub use assembler::{Assembled, Assembler, Options};
pub use checks::{Segment, Violation, check, segments};
pub use counts::Counts;
