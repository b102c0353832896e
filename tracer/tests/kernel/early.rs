//! Threads that were there before tracing, seen for the first time as a timer's interrupt wakes them.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::thread;
use std::time::Duration;

use crate::records::{Records, keeps_storage_away};
use crate::workload::{Workload, gate};
use crate::{can_trace, emulated, trace};

/// Enough that some are woken for the first time in the middle of a program.
const NAPPERS: u32 = 300;
const NAP: Duration = Duration::from_millis(50);
/// What sets their times apart.
const LATER: Duration = Duration::from_micros(97);
const WATCHED: Duration = Duration::from_millis(300);

/// Threads that nap, and one that has programs run all the time.
pub fn naps() {
    for nth in 0..NAPPERS {
        thread::spawn(move || {
            loop {
                thread::sleep(NAP + LATER * nth);
            }
        });
    }
    thread::spawn(|| {
        // No regular file: its reads are looked at, and not told.
        let mut zeros = File::open("/dev/zero").expect("open");
        while zeros.read_exact(&mut [0; 1]).is_ok() {}
    });
    gate();
    thread::sleep(WATCHED);
}

#[test]
fn threads_that_a_timer_wakes_at_first() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("naps");
    let mut tracer = trace(&[workload.pid()]);
    workload.run();
    let records = Records::take(&mut tracer);
    if !keeps_storage_away() {
        records.check_no_loss();
    }
    let mut first = HashMap::new();
    for switch in &records.switches {
        first.entry(switch.tid).or_insert(switch);
    }
    let told = first.values().filter(|switch| switch.wake_ts != 0).count();
    println!(
        "of {} threads the first wait for a CPU is told of {told}",
        first.len()
    );
    assert!(first.len() > NAPPERS as usize * 9 / 10);
    // In an emulated machine most of them run while they are looked at.
    let least = if emulated() { 1 } else { NAPPERS as usize / 2 };
    assert!(told >= least, "they have their places before");
}
