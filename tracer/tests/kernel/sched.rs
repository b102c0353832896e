//! Threads' time: what the tracer tells of switches against what the kernel counts itself.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::unistd::{gettid, pipe};
use tierscope_tracer::wire_record::*;

use crate::records::Records;
use crate::workload::{Workload, gate, say};
use crate::{can_trace, emulated, trace};

/// Threads that want a CPU all the time: more than there are CPUs.
const HOGS: usize = 5;
const HOGGING: Duration = Duration::from_millis(1500);
const SLEEPS: usize = 20;

/// What the kernel counts of a thread: ns on a CPU, ns runnable, times it came to a CPU, and how often
/// it left one, to wait or for another.
#[derive(Clone, Copy, Default)]
struct Counted {
    on_cpu: u64,
    runnable: u64,
    arrivals: u64,
    voluntary: u64,
    involuntary: u64,
}

impl Counted {
    /// Of the calling thread.
    fn now() -> Self {
        let read = |file| {
            fs::read_to_string(format!("/proc/thread-self/{file}")).expect("the thread's own")
        };
        let stat = read("schedstat");
        let stat: Vec<u64> = stat
            .split_whitespace()
            .map(|n| n.parse().expect("number"))
            .collect();
        let status = read("status");
        let switches = |kind: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(kind));
            line.expect("line").trim().parse().expect("number")
        };
        Self {
            on_cpu: stat[0],
            runnable: stat[1],
            arrivals: stat[2],
            voluntary: switches("voluntary_ctxt_switches:"),
            involuntary: switches("nonvoluntary_ctxt_switches:"),
        }
    }

    /// On the line that [`Told::of`] is compared with.
    fn say(self, since: Self, begin: u64, end: u64) {
        say(format_args!(
            "thread {} {begin} {end} {} {} {} {} {}",
            gettid(),
            self.on_cpu - since.on_cpu,
            self.runnable - since.runnable,
            self.arrivals - since.arrivals,
            self.voluntary - since.voluntary,
            self.involuntary - since.involuntary,
        ));
    }
}

/// CLOCK_MONOTONIC, ns.
pub fn now() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// Threads that never wait but a little, each of which tells what the kernel counted of it.
pub fn hogs() {
    gate();
    thread::scope(|scope| {
        for sleepy in 0..HOGS {
            scope.spawn(move || {
                let (begin, before) = (now(), Counted::now());
                hog(sleepy);
                let (after, end) = (Counted::now(), now());
                after.say(before, begin, end);
            });
        }
    });
}

fn hog(sleepy: usize) {
    let begun = Instant::now();
    let mut rounds = 0u64;
    while begun.elapsed() < HOGGING {
        rounds += 1;
        // Some of them also sleep, so that both kinds of switches come up.
        if sleepy % 2 == 1 && rounds.is_multiple_of(10_000) {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// What the records tell of one thread between two times.
#[derive(Debug, Default)]
struct Told {
    runnable: u64,
    /// Off the CPU until an interrupt's wake that was not seen, ns: how much of it was runnable is not known.
    unknown: u64,
    off: u64,
    /// The longest time off the CPU at once, ns.
    longest: u64,
    voluntary: u64,
    involuntary: u64,
    /// Returns of which only that they were is known.
    unseen: u64,
}

impl Told {
    fn of(records: &Records, tid: u32, begin: u64, end: u64) -> Self {
        let mut told = Self::default();
        let of_thread = records.switches.iter().filter(|s| s.tid == tid);
        for s in of_thread.filter(|s| s.off_ts >= begin && s.head.ts <= end) {
            assert!(s.wake_ts == 0 || (s.off_ts..=s.head.ts).contains(&s.wake_ts));
            assert!(s.prev_since_ts <= s.head.ts && s.prev_tid != tid);
            assert_eq!(s.throttled, 0, "it has no quota");
            told.off += s.head.ts - s.off_ts;
            told.unseen += u64::from(s.unseen);
            told.longest = told.longest.max(s.head.ts - s.off_ts);
            if u32::from(s.off) == TS_OFF_PREEMPTED {
                assert_eq!(s.wake_ts, 0);
                told.involuntary += 1;
                told.runnable += s.head.ts - s.off_ts;
            } else {
                told.voluntary += 1;
                match s.wake_ts {
                    0 => told.unknown += s.head.ts - s.off_ts,
                    woken => told.runnable += s.head.ts - woken,
                }
            }
        }
        told
    }
}

/// Whether `told` is `counted` but for `percent`, and for a little where there is little.
fn close(what: &str, told: u64, counted: u64, percent: u64, little: u64) {
    println!("  {what}: {told} told, {counted} counted");
    let allowed = counted * percent / 100 + little;
    assert!(told.abs_diff(counted) <= allowed, "{what}");
}

#[test]
fn threads_that_fight_for_the_cpus() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("hogs");
    let mut tracer = trace(&[workload.pid()]);
    let taken = taken();
    let lines = workload.run_and_read();
    let taken = self::taken() - taken;
    for stats in tracer.stats() {
        if stats.program.starts_with("sched_") && stats.runs > 0 {
            let (runs, ns) = (stats.runs, stats.time_ns / stats.runs);
            println!("{:>20} {runs:>8} runs {ns:>5} ns", stats.program);
        }
    }
    let counts = tracer.counts().expect("counts");
    println!("{:?}", counts[TS_PROGRAM_SWITCH as usize]);
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    println!("others': {}", records.filtered(TS_FILTER_UNTRACED));
    let threads = lines.iter().filter_map(|line| line.strip_prefix("thread "));
    let mut seen = 0;
    for line in threads {
        check_thread(&records, line, taken);
        seen += 1;
    }
    assert_eq!(seen, HOGS);
}

/// What interrupts and the hypervisor took of all CPUs' time, ns: the kernel leaves it out of a thread's.
fn taken() -> u64 {
    let stat = fs::read_to_string("/proc/stat").expect("reads");
    let mut of_all = stat.lines().next().expect("cpu").split_whitespace();
    // user, nice, system, idle and iowait stand before them.
    let ticks = of_all.by_ref().skip(6).take(3);
    let ticks: u64 = ticks.map(|n| n.parse::<u64>().expect("ticks")).sum();
    ticks * 10_000_000
}

fn check_thread(records: &Records, line: &str, taken: u64) {
    let numbers: Vec<u64> = line
        .split_whitespace()
        .map(|n| n.parse().expect("number"))
        .collect();
    let [
        tid,
        begin,
        end,
        on_cpu,
        runnable,
        arrivals,
        voluntary,
        involuntary,
    ] = numbers[..]
    else {
        panic!("{line}");
    };
    let told = Told::of(records, tid as u32, begin, end);
    println!("thread {tid}: {told:?}");

    // Asking the kernel takes long enough in an emulated machine to be switched in between. A switch from the first
    // process is one of those that a virtual machine may hide (see `hidden`): that it was is known, its kind is not.
    let (edge, unseen) = (10, told.unseen);
    let percent = if emulated() { 1 } else { 3 };
    let returns = told.voluntary + told.involuntary;
    for (what, told, counted) in [
        ("voluntary switches", told.voluntary, voluntary),
        ("involuntary switches", told.involuntary, involuntary),
    ] {
        close(what, told, counted, percent, edge + unseen);
    }
    close("arrivals", returns + unseen, arrivals, percent, edge);
    if emulated() {
        return;
    }
    // Nor does every wake by a timer's interrupt run a program there.
    assert!(told.unknown <= (end - begin) / 50, "{told:?}");
    let untold = arrivals.saturating_sub(returns);
    let hidden = untold * told.longest;
    // The kernel's wait begins when its run queue's clock was last set, microseconds before the switch is told.
    let little = 100_000 + told.unknown + hidden + arrivals * 5_000;
    close("runnable ns", told.runnable, runnable, 2, little);
    let little = (end - begin) / 100 + taken + hidden;
    close("on CPU ns", end - begin - told.off, on_cpu, 2, little);
}

/// One thread that waits in one way after the other, and says when.
pub fn sleeps() {
    gate();
    waits("nanosleep", || thread::sleep(Duration::from_millis(2)));
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let mut guard = Some(lock.lock().expect("lock"));
    waits("futex", || {
        let held = guard.take().expect("held");
        let timeout = Duration::from_millis(2);
        guard = Some(condition.wait_timeout(held, timeout).expect("wait").0);
    });
    let (mut reader, writer) = pipe().map(|(r, w)| (File::from(r), w)).expect("pipe");
    let feeder = thread::spawn(move || {
        for _ in 0..SLEEPS {
            thread::sleep(Duration::from_millis(2));
            nix::unistd::write(&writer, b"x").expect("write");
        }
    });
    waits("read", || reader.read_exact(&mut [0]).expect("read"));
    feeder.join().expect("feeder");
    faults();
}

fn waits(kind: &str, mut wait: impl FnMut()) {
    let begin = now();
    for _ in 0..SLEEPS {
        wait();
    }
    say(format_args!("wait {kind} {} {begin} {}", gettid(), now()));
}

/// Touches pages of a file on a disk, none of them in memory, far from each other.
fn faults() {
    const APART: usize = 8 << 20;
    let mut file = tempfile::tempfile_in("/var/tmp").expect("file");
    let chunk = vec![1; APART];
    for _ in 0..SLEEPS {
        std::io::Write::write_all(&mut file, &chunk).expect("write");
    }
    file.sync_all().expect("sync");
    let length = SLEEPS * APART;
    let advice = libc::POSIX_FADV_DONTNEED;
    // SAFETY: the descriptor is open for as long as `file` lives.
    let dropped = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, length as i64, advice) };
    assert_eq!(dropped, 0);
    let size = length.try_into().expect("size");
    // SAFETY: a new mapping that nothing else knows of; the file keeps its length.
    let mapped = unsafe {
        mmap(
            None,
            size,
            ProtFlags::PROT_READ,
            MapFlags::MAP_PRIVATE,
            &file,
            0,
        )
    };
    let base = mapped.expect("mmap").as_ptr().cast::<u8>();
    let mut next = 0;
    waits("fault", || {
        // SAFETY: inside the mapping.
        assert_eq!(unsafe { base.add(next * APART + 4096).read_volatile() }, 1);
        next += 1;
    });
}

#[test]
fn every_reason_to_wait() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("sleeps");
    let mut tracer = trace(&[workload.pid()]);
    let lines = workload.run_and_read();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let mut seen = 0;
    for line in lines.iter().filter_map(|line| line.strip_prefix("wait ")) {
        check_wait(&records, line);
        seen += 1;
    }
    assert_eq!(seen, 4);
}

fn check_wait(records: &Records, line: &str) {
    let fields: Vec<_> = line.split_whitespace().collect();
    let number = |i: usize| -> u64 { fields[i].parse().expect("number") };
    let (tid, begin, end) = (number(1) as u32, number(2), number(3));
    let (syscall, off) = match fields[0] {
        "nanosleep" => (libc::SYS_clock_nanosleep as u32, TS_OFF_SLEEPING),
        "futex" => (libc::SYS_futex as u32, TS_OFF_SLEEPING),
        "read" => (libc::SYS_read as u32, TS_OFF_SLEEPING),
        _ => (TS_NO_SYSCALL, TS_OFF_BLOCKED),
    };
    let of_thread = records.switches.iter().filter(|s| s.tid == tid);
    let within = of_thread.filter(|s| s.off_ts >= begin && s.head.ts <= end);
    let waited: Vec<_> = within
        .filter(|s| u32::from(s.off) != TS_OFF_PREEMPTED)
        .collect();
    println!("{}: {} waits", fields[0], waited.len());
    // Who comes late to a pipe finds a byte there already, and an emulated disk may be done before anybody can wait.
    let least = match (emulated(), off) {
        (false, _) => SLEEPS / 2,
        (true, TS_OFF_BLOCKED) => 0,
        (true, _) => 1,
    };
    assert!(waited.len() >= least, "{line}");
    for s in waited {
        assert_eq!(
            (s.syscall, u32::from(s.off)),
            (syscall, off),
            "{line} {s:?}"
        );
        assert_eq!(s.wait_event, 0);
    }
}
