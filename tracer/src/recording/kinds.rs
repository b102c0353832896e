//! Names of what records number: kinds, programs, reasons.

use crate::wire_record::{TS_FILTER_COUNT, TS_PROGRAM_COUNT};

/// `ts_kind`, from 1 on.
pub(super) const KINDS: [&str; 21] = [
    "socket",
    "send",
    "recv",
    "arrive",
    "retransmit",
    "close",
    "usdt",
    "process",
    "loss",
    "filtered",
    "transmit",
    "accepted",
    "switch",
    "file",
    "file_name",
    "block",
    "buffers",
    "stack",
    "skipped",
    "turned",
    "dropped",
];

/// `ts_program`.
pub(super) const PROGRAMS: [&str; TS_PROGRAM_COUNT as usize] = [
    "socket_state",
    "send_start",
    "send_end",
    "recv",
    "arrive",
    "retransmit",
    "close",
    "usdt_app",
    "usdt_postgres",
    "process",
    "walk",
    "transmit",
    "accept",
    "switch",
    "wakeup",
    "file",
    "block",
    "buffers",
    "dropped",
];

/// `ts_filter`.
pub(super) const FILTERS: [&str; TS_FILTER_COUNT as usize] = [
    "pure_ack",
    "peek",
    "recv_error",
    "send_error",
    "not_tcp",
    "retransmit_failed",
    "segments_beyond",
    "unreadable",
    "send_overlap",
    "resync",
    "text_fault",
    "sent_again",
    "untraced",
    "sampled_out",
    "not_a_file",
    "no_stack",
];
