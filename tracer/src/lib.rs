//! What the kernel saw: loading the BPF programs, the probes they attach to, their records and the recording file.

pub mod wire_record;
