//! Requests to block devices, of a program that asks for known bytes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use tierscope_tracer::wire_record::*;

use crate::records::Records;
use crate::workload::{Workload, gate, say};
use crate::{can_trace, trace};

const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 8;
/// Of each file.
const BYTES: u64 = (CHUNK * CHUNKS) as u64;
/// What the file system writes of its own accord at a time.
const METADATA: u32 = 4096;

/// As a device wants it that reads into the caller's memory.
#[repr(align(4096))]
struct Aligned([u8; CHUNK]);

/// Bytes that this process had devices read and write, as the kernel counts them.
fn counted() -> (u64, u64) {
    let io = fs::read_to_string("/proc/self/io").expect("io");
    let field = |name: &str| -> u64 {
        let line = io.lines().find_map(|line| line.strip_prefix(name));
        line.expect("field").trim().parse().expect("number")
    };
    (field("read_bytes:"), field("write_bytes:"))
}

/// Reads and writes past the page cache, a read that the cache does not hold, and an fsync.
pub fn asked() {
    let directory = tempfile::tempdir_in("/var/tmp").expect("directory");
    let (direct, cold) = (
        directory.path().join("direct"),
        directory.path().join("cold"),
    );
    for path in [&direct, &cold] {
        fs::write(path, [1; CHUNK * CHUNKS]).expect("fill");
        File::open(path).expect("open").sync_all().expect("sync");
    }
    let direct = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(&direct)
        .expect("direct");
    let cold = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&cold)
        .expect("cold");
    posix_fadvise(&cold, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).expect("dropped");
    let mut buffer = Box::new(Aligned([2; CHUNK]));
    let mut buffered = vec![0; CHUNK * CHUNKS];
    gate();
    let before = counted();
    for at in 0..CHUNKS {
        direct
            .write_all_at(&buffer.0, (at * CHUNK) as u64)
            .expect("write");
    }
    for at in 0..CHUNKS {
        direct
            .read_exact_at(&mut buffer.0, (at * CHUNK) as u64)
            .expect("read");
    }
    cold.read_exact_at(&mut buffered, 0).expect("cold read");
    let after = counted();
    (&cold).write_all(&buffered).expect("write");
    cold.sync_all().expect("fsync");
    let (read, written) = (after.0 - before.0, after.1 - before.1);
    say(format_args!(
        "{} {read} {written}",
        direct.metadata().expect("metadata").dev()
    ));
}

#[test]
fn what_devices_did_is_told_byte_for_byte() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("blocks");
    let pid = workload.pid();
    let mut tracer = trace(&[pid]);
    let lines = workload.run_and_read();
    let fields: Vec<u64> = lines[0]
        .split(' ')
        .map(|f| f.parse().expect("number"))
        .collect();
    if libc::major(fields[0]) == 0 {
        return println!("skipped: /var/tmp is on no block device");
    }
    for stats in tracer
        .stats()
        .iter()
        .filter(|s| s.program.starts_with("block_") && s.runs > 0)
    {
        println!(
            "{:>16} {:>6} runs {:>5} ns",
            stats.program,
            stats.runs,
            stats.time_ns / stats.runs
        );
    }
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let disk = (libc::major(fields[0]), libc::minor(fields[0]));
    for block in &records.blocks {
        assert_eq!((block.dev >> 20, block.pid, block.error), (disk.0, pid, 0));
        assert!(0 < block.issue_ts && block.issue_ts < block.head.ts);
    }
    let sum = |op: u32| -> u64 {
        let of_op = records.blocks.iter().filter(|b| u32::from(b.op) == op);
        let of_files = of_op.filter(|b| b.bytes > METADATA);
        of_files.map(|b| u64::from(b.bytes)).sum()
    };
    assert_eq!((fields[1], sum(TS_BLOCK_READ)), (2 * BYTES, 2 * BYTES));
    // The kernel counts a write when the pages get dirty, so what fsync wrote is not among these.
    assert!(
        (BYTES..=BYTES + 16 * u64::from(METADATA)).contains(&fields[2]),
        "{fields:?}"
    );
    assert_eq!(sum(TS_BLOCK_WRITE), 2 * BYTES);
}
