//! Calls on files, of a program that does nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use nix::sys::sendfile::sendfile64;
use nix::sys::uio::{preadv, pwritev};
use tierscope_tracer::Tracer;
use tierscope_tracer::wire_record::*;

use crate::records::Records;
use crate::workload::{Workload, gate, run, say};
use crate::{can_trace, trace};

/// A probe of the application's: of a program that has one the stacks are taken.
#[usdt::provider(provider = "tierscope_app")]
mod app {
    fn cache_hit(hi: u64, lo: u64, key: &str) {}
}

/// Bytes that this process has read and written so far, as the kernel counts them, and those that asking took.
fn counted() -> (u64, u64, u64) {
    let io = fs::read_to_string("/proc/self/io").expect("io");
    let field = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name));
        line.expect("field").trim().parse().expect("number")
    };
    (field("rchar:"), field("wchar:"), io.len() as u64)
}

/// Every call, each with bytes of a number of its own.
pub fn calls() {
    let directory = tempfile::tempdir_in("/var/tmp").expect("directory");
    let path = directory.path().join("deep/er");
    fs::create_dir_all(&path).expect("directories");
    let path = path.join("file");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    gate();
    app::cache_hit!(|| (1, 2, "key"));
    let before = counted();
    let mut file = options.open(&path).expect("open");
    file.write_all(&[1; 101]).expect("write");
    file.write_all_at(&[2; 203], 1000).expect("pwrite");
    let parts = [IoSlice::new(&[3; 5]), IoSlice::new(&[4; 6])];
    assert_eq!(file.write_vectored(&parts).expect("writev"), 11);
    assert_eq!(pwritev(&file, &parts, 5000).expect("pwritev"), 11);
    let mut end = OpenOptions::new().append(true).open(&path).expect("append");
    end.write_all(&[5; 17]).expect("append");
    file.sync_all().expect("fsync");
    file.sync_data().expect("fdatasync");
    reads(&mut file);
    let after = counted();
    let meta = file.metadata().expect("metadata");
    let (read, written) = (after.0 - before.0 - before.2, after.1 - before.1);
    let place = (meta.dev(), meta.ino());
    say(format_args!(
        "{} {} {} {read} {written}",
        path.display(),
        place.0,
        place.1
    ));
    gate();
}

/// A file that is reached through a mount of its directory elsewhere, in a namespace of its own.
pub fn bound() {
    let directory = tempfile::tempdir_in("/var/tmp").expect("directory");
    let (here, there) = (
        directory.path().join("here"),
        directory.path().join("there/of"),
    );
    for path in [&here, &there] {
        fs::create_dir_all(path).expect("directories");
    }
    fs::write(here.join("file"), "text").expect("write");
    // SAFETY: it gives this process alone a copy of its mounts.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    run("mount --make-rprivate /");
    run(&format!(
        "mount --bind {} {}",
        here.display(),
        there.display()
    ));
    let path = there.join("file");
    gate();
    assert_eq!(fs::read(&path).expect("read"), b"text");
    say(format_args!(
        "{} {}",
        path.display(),
        fs::metadata(&path).expect("metadata").ino()
    ));
    run(&format!("umount {}", there.display()));
}

#[inline(never)]
fn reads(file: &mut File) {
    file.seek(SeekFrom::Start(7)).expect("seek");
    file.read_exact(&mut [0; 31]).expect("read");
    file.read_exact_at(&mut [0; 37], 1001).expect("pread");
    let (mut first, mut second) = ([0; 3], [0; 4]);
    let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(file.read_vectored(&mut parts).expect("readv"), 7);
    assert_eq!(preadv(&*file, &mut parts, 1003).expect("preadv"), 7);
    let (end, other) = std::os::unix::net::UnixStream::pair().expect("pair");
    let mut offset = 1005;
    assert_eq!(
        sendfile64(&end, &*file, Some(&mut offset), 41).expect("sendfile"),
        41
    );
    drop(other);
    assert_eq!(
        file.read_at(&mut [0; 10], 1 << 20).expect("past the end"),
        0
    );
}

const OPEN: u32 = TS_FILE_OPEN;
const READ: u32 = TS_FILE_READ;
const WRITE: u32 = TS_FILE_WRITE;
const SYNC: u32 = TS_FILE_SYNC;

/// What was done, with its offset and its bytes.
const DONE: [(u32, i64, i64); 14] = [
    (WRITE, 0, 101),
    (WRITE, 1000, 203),
    (WRITE, 101, 11),
    (WRITE, 5000, 11),
    (WRITE, 5011, 17),
    (SYNC, -1, 0),
    (SYNC, -1, 0),
    (READ, 7, 31),
    (READ, 1001, 37),
    (READ, 38, 7),
    (READ, 1003, 7),
    (READ, 1005, 41),
    (READ, 1 << 20, 0),
    (OPEN, -1, 2),
];

#[test]
fn calls_on_a_file_are_told_byte_for_byte() {
    if !can_trace() {
        return;
    }
    let mut workload = Workload::start("files");
    let mut tracer = trace(&[workload.pid()]);
    for hook in tracer.hooks().iter().filter(|hook| hook.event == "files") {
        assert!(hook.attached, "{hook:?}");
    }
    let lines = workload.go_on();
    for stats in tracer.stats() {
        if stats.program.starts_with("file_") && stats.runs > 0 {
            let (runs, ns) = (stats.runs, stats.time_ns / stats.runs);
            println!("{:>20} {runs:>8} runs {ns:>5} ns", stats.program);
        }
    }
    let mut records = Records::take(&mut tracer);
    check_stack(&mut records, &mut tracer);
    workload.run();
    records.check_no_loss();
    let fields: Vec<_> = lines[0].split_whitespace().collect();
    let number = |i: usize| -> u64 { fields[i].parse().expect("number") };
    let (dev, ino) = (number(1), number(2));
    let of_file = |f: &&ts_file| f.ino == ino;
    let calls: Vec<_> = records.files.iter().filter(of_file).collect();
    check_calls(&calls, dev);
    let (name, path) = &records
        .names
        .iter()
        .find(|(name, _)| name.ino == ino)
        .expect("name");
    assert_eq!((path.as_str(), name.cut), (fields[0], 0));
    assert_eq!(
        records
            .names
            .iter()
            .filter(|(name, _)| name.ino == ino)
            .count(),
        1
    );
    check_sums(&calls, number(3), number(4));
    println!("not files: {}", records.filtered(TS_FILTER_NOT_A_FILE));
}

/// A read tells of the function that asked for it, by name, once that was looked up.
fn check_stack(records: &mut Records, tracer: &mut Tracer) {
    let read = |f: &&ts_file| (u32::from(f.op), f.offset, f.result) == (READ, 1001, 37);
    let stack = records.files.iter().find(read).expect("pread").stack;
    let is_it = |(number, _): &&(u32, String)| *number == stack;
    let told = |records: &Records| records.stacks.iter().any(|told| is_it(&told));
    let (limit, what) = (Duration::from_secs(10), format!("STACK {stack}"));
    records.take_until(tracer, limit, &what, told);
    let (_, frames) = records.stacks.iter().find(is_it).expect("told");
    println!("{frames}");
    assert!(frames.contains("kernel::files::reads+0x"), "{frames}");
    assert!(frames.contains("kernel::files::calls+0x"), "{frames}");
    let mut numbers: Vec<_> = records.stacks.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    assert!(
        numbers.windows(2).all(|two| two[0] != two[1]),
        "each is told once"
    );
}

#[test]
fn a_path_goes_through_every_mount() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("bound");
    let mut tracer = trace(&[workload.pid()]);
    let lines = workload.run_and_read();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let (path, ino) = lines[0].split_once(' ').expect("path and number");
    let ino: u64 = ino.parse().expect("number");
    let (_, told) = records
        .names
        .iter()
        .find(|(name, _)| name.ino == ino)
        .expect("name");
    assert_eq!(told, path);
}

fn check_calls(calls: &[&ts_file], dev: u64) {
    let shape = |f: &&&ts_file| (u32::from(f.op), f.offset, f.result);
    let opened = |shape: &(u32, i64, i64)| shape.0 == OPEN;
    let told: Vec<_> = calls
        .iter()
        .map(|f| shape(&f))
        .filter(|s| !opened(s))
        .collect();
    assert_eq!(told, &DONE[..13]);
    assert_eq!(calls.len(), 15, "and opened twice");
    for call in calls {
        let (major, minor) = (u64::from(call.dev >> 20), u64::from(call.dev & 0xfffff));
        assert_eq!(libc::makedev(major as u32, minor as u32), dev);
        assert!(call.start_ts <= call.head.ts);
    }
}

/// What the kernel counted of the process is what it did to this file.
fn check_sums(calls: &[&ts_file], read: u64, written: u64) {
    let sum = |op: u32| -> u64 {
        let of_op = calls.iter().filter(|f| u32::from(f.op) == op);
        of_op.map(|f| f.result.unsigned_abs()).sum()
    };
    assert_eq!(sum(READ), read);
    // What sendfile took from the file it wrote elsewhere.
    assert_eq!(sum(WRITE) + 41, written);
}
