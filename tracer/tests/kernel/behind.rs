//! Who had the CPU that a thread waited for, against who was put there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::gettid;

use crate::records::Records;
use crate::sched::now;
use crate::workload::{Workload, gate};
use crate::{can_trace, emulated, trace};

const TICKING: Duration = Duration::from_millis(500);
const BURST: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(15);
const TICK: Duration = Duration::from_millis(1);

/// The calling thread may run on the last CPU only.
fn stay_on_last_cpu() {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    // SAFETY: a set of CPUs is an array of bits, all of which may be 0.
    let mut last: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set has room for more CPUs than there are.
    unsafe { libc::CPU_SET(cpus - 1, &mut last) };
    // SAFETY: 0 is the calling thread, and the set lives through the call.
    let set = unsafe { libc::sched_setaffinity(0, size_of_val(&last), &raw const last) };
    assert_eq!(set, 0);
}

/// It runs before all ordinary threads.
fn be_first() {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: 0 is the calling thread, and the parameter lives through the call.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first) };
    assert_eq!(set, 0);
}

/// One thread that wants its CPU for a moment, again and again.
pub fn ticks() {
    gate();
    stay_on_last_cpu();
    let begun = Instant::now();
    while begun.elapsed() < TICKING {
        thread::sleep(TICK);
    }
}

/// Takes that CPU from it until it is done: by which thread, and from when to when.
fn bursts(done: &AtomicBool) -> (u32, Vec<(u64, u64)>) {
    stay_on_last_cpu();
    be_first();
    let burst = || {
        if done.load(Ordering::Relaxed) {
            return None;
        }
        thread::sleep(PAUSE);
        let (since, begun) = (now(), Instant::now());
        while begun.elapsed() < BURST {
            std::hint::spin_loop();
        }
        Some((since, now()))
    };
    let times = std::iter::from_fn(burst).collect();
    (gettid().as_raw() as u32, times)
}

#[test]
fn who_waits_behind_a_hog_is_told_of_the_hog() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("ticks");
    let pid = workload.pid();
    let mut tracer = trace(&[pid]);
    let done = AtomicBool::new(false);
    let (hog, bursts) = thread::scope(|scope| {
        let hog = scope.spawn(|| bursts(&done));
        // It waits as well, and has the CPU between the two, for a moment.
        scope.spawn(|| {
            stay_on_last_cpu();
            while !done.load(Ordering::Relaxed) {
                thread::sleep(TICK);
            }
        });
        workload.run_and_read();
        done.store(true, Ordering::Relaxed);
        hog.join().expect("the hog's times")
    });
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let mut others = 0;
    let mut waits = 0;
    let mut untold = 0;
    for (since, until) in bursts {
        let long = BURST.as_nanos() as u64 / 4;
        let of_thread = records.switches.iter().filter(|s| s.pid == pid);
        let waited = of_thread.filter(|s| s.wake_ts > since && s.wake_ts + long < until);
        for s in waited.filter(|s| s.head.ts >= until) {
            println!("{since} to {until}: {s:?}");
            let ended = s.head.ts - u64::from(s.prev_ended_ns);
            let told = ended - s.prev_since_ts.max(s.wake_ts);
            // A virtual machine may hide that the hog came there: then nothing is told.
            if told == 0 && !emulated() {
                untold += 1;
                continue;
            }
            assert_eq!(s.prev_tid, hog);
            // The kernel's own threads of the highest priority may cut a burst in two.
            assert!(told >= (until - s.wake_ts) / 3, "{told}");
            assert!(told <= s.head.ts - s.wake_ts);
            others += u32::from(s.prev_ended_ns > 0);
            waits += 1;
        }
    }
    println!("{waits} waits, {others} with another right before, {untold} untold");
    assert!(untold <= waits / 2);
    let least = if emulated() { 1 } else { 5 };
    assert!(waits >= least);
}
