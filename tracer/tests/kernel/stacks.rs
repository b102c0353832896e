//! User stacks by the hundred: enough that the places of some are taken.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use tierscope_tracer::wire_record::*;

use crate::records::Records;
use crate::workload::{Workload, gate};
use crate::{can_trace, trace};

/// Turns on the way to a read, left or right: a bit each of the offset that is read.
const TURNS: u32 = 8;
const WAYS: u64 = 1 << TURNS;
/// As many stacks at a time can wait for their names,
const WAITING: usize = 64;
/// and as often is every way gone, for all of them to be named.
const TIMES: usize = WAYS as usize / WAITING;
/// How long that may take, on an emulated machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Every way to a read is gone, one after the other. The stacks are taken because this program has a probe of the
/// application's, in `files.rs`.
pub fn every_way() {
    let file = tempfile::tempfile_in("/var/tmp").expect("file");
    for _ in 0..TIMES {
        gate();
        all_ways(&file);
    }
    gate();
}

/// Not inlined, so that a way is the same stack each time.
#[inline(never)]
fn all_ways(file: &File) {
    for way in 0..WAYS {
        turn(file, way, TURNS);
    }
}

fn turn(file: &File, way: u64, turns: u32) {
    let Some(turns) = turns.checked_sub(1) else {
        assert_eq!(file.read_at(&mut [0; 1], way).expect("read"), 0);
        return;
    };
    match way >> turns & 1 {
        0 => left(file, way, turns),
        _ => right(file, way, turns),
    }
}

#[inline(never)]
fn left(file: &File, way: u64, turns: u32) {
    turn(file, way, turns);
    // Something that comes after the call: it is not to be the last one.
    black_box(0);
}

#[inline(never)]
fn right(file: &File, way: u64, turns: u32) {
    turn(file, way, turns);
    black_box(1);
}

/// The offset that the frames, innermost first, led to.
fn way_of(frames: &str) -> u64 {
    let turns = frames.lines().rev().filter_map(|frame| {
        let (_, function) = frame.split_once("kernel::stacks::")?;
        match function.split_once('+')?.0 {
            "left" => Some(0),
            "right" => Some(1),
            _ => None,
        }
    });
    turns.fold(0, |way, turn| way << 1 | turn)
}

#[test]
fn a_stack_whose_place_is_taken_has_another() {
    if !can_trace() {
        return;
    }
    let mut workload = Workload::start("ways");
    let mut tracer = trace(&[workload.pid()]);
    let mut records = Records::default();
    for time in 1..=TIMES {
        workload.go_on();
        records.take_more(&mut tracer);
        let stacks = check_numbers(&records, time);
        let named = stacks.len().min(time * WAITING);
        let all_named = |records: &Records| records.stacks.len() >= named;
        records.take_until(
            &mut tracer,
            LIMIT,
            &format!("{named} stacks named"),
            all_named,
        );
    }
    let stacks = check_numbers(&records, TIMES);
    let displaced = stacks.iter().filter(|(number, _)| *number > TS_STACKS);
    println!("{} of {WAYS} stacks have another place", displaced.count());
    let way = |(number, frames): &(u32, String)| (*number, way_of(frames));
    let mut named: Vec<_> = records.stacks.iter().map(way).collect();
    named.sort_unstable();
    assert_eq!(named, stacks);
    workload.run();
}

/// Each way has one number, whenever it was gone; those without are counted.
fn check_numbers(records: &Records, times: usize) -> Vec<(u32, u64)> {
    let is_read = |f: &&ts_file| u32::from(f.op) == TS_FILE_READ && f.offset >= 0;
    let reads: Vec<_> = records.files.iter().filter(is_read).collect();
    assert_eq!(reads.len(), times * WAYS as usize);
    let without = reads.iter().filter(|read| read.stack == 0).count() as u64;
    assert_eq!(without, records.filtered(TS_FILTER_NO_STACK));
    let told = reads.iter().filter(|read| read.stack != 0);
    let mut stacks: Vec<_> = told.map(|read| (read.stack, read.offset as u64)).collect();
    stacks.sort_unstable();
    stacks.dedup();
    assert_eq!(stacks.len() as u64 + without / times as u64, WAYS);
    stacks
}
