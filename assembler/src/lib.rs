//! Events in, span trees out. Pure: no kernel, no files, no clock but the events' own.
//!
//! Passes, in order: events by time ([`order`]) → connections ([`connections`]) → exchanges, messages
//! cut by content ([`http`], [`postgres`]) → what the processes said ([`app`], [`app_request`], [`backend`]) → spans
//! ([`hop`], [`handler`], [`statement`]), with what their threads did ([`threads`], [`charge`]) and the files
//! and disks that they used ([`file_spans`]) → trees ([`requests`], [`tree`], [`arrange`]) → checks ([`checks`]).
//! Each joins by facts only; what cannot be joined stays an orphan and is counted.

mod app;
mod app_request;
mod arrange;
mod assembler;
mod backend;
mod blocks;
mod charge;
mod checks;
mod connection;
mod connections;
mod counts;
mod dropped;
mod endpoint;
mod exchange;
mod file_spans;
mod files;
mod full;
mod handler;
mod hop;
mod http;
mod joined;
mod lock;
mod log;
mod marks;
mod nginx;
mod order;
mod page_read;
mod passage;
mod phase;
mod piece;
mod poller;
mod postgres;
mod probed;
mod process;
mod queue;
mod reason;
mod requests;
mod retransmit;
mod setup;
mod silent;
mod span_id;
mod sql_text;
mod statement;
mod stream;
mod tally;
mod threads;
mod timeline;
mod tree;
mod unseen_hop;
mod wait_event;
mod waits;

pub use assembler::{Assembled, Assembler, Options};
pub use checks::{Segment, Violation, check, segments};
pub use counts::Counts;
