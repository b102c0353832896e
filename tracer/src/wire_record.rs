//! The records of `bpf/events.h`, generated at build: the one definition of what the kernel side writes.
//!
//! Names are the header's own. Every struct reads from and writes to plain bytes by `zerocopy`;
//! its size and offsets are asserted against the C compiler's at build.

#![allow(
    missing_docs,
    non_camel_case_types,
    rustdoc::broken_intra_doc_links,
    reason = "generated from C; the header says what each item is"
)]

include!(concat!(env!("OUT_DIR"), "/wire_record.rs"));
