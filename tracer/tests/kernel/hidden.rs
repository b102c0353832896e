//! Events that this machine hides from programs, by its own counters.
//!
//! A virtual machine's kernel may keep programs from its first process, and so from an interrupt that comes upon
//! it, with all that the interrupt handles: a burst of packets, now and then. The kernel counts no miss, but what
//! counts events alone is let in.

use std::cell::RefCell;
use std::fs;

use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};

thread_local! {
    /// Of this thread's test, since it began to trace.
    static COUNTERS: RefCell<Counters> = RefCell::default();
}

/// How many events came upon the first process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hidden {
    pub arrivals: u64,
    pub departures: u64,
    pub retransmits: u64,
}

/// One per thread of the first process.
#[derive(Default)]
struct Counters {
    arrivals: Vec<Counter>,
    departures: Vec<Counter>,
    retransmits: Vec<Counter>,
}

/// Counts from here on.
pub fn begin() {
    // Debian's kernels in an emulated machine hide nothing.
    if crate::emulated() {
        return;
    }
    COUNTERS.set(Counters {
        arrivals: count("tcp/tcp_probe"),
        departures: count("net/net_dev_start_xmit"),
        retransmits: count("tcp/tcp_retransmit_skb"),
    });
}

/// Up to here.
pub fn so_far() -> Hidden {
    let sum = |counters: &mut Vec<Counter>| {
        counters
            .iter_mut()
            .map(|c| c.read().expect("a count"))
            .sum()
    };
    COUNTERS.with_borrow_mut(|counters| Hidden {
        arrivals: sum(&mut counters.arrivals),
        departures: sum(&mut counters.departures),
        retransmits: sum(&mut counters.retransmits),
    })
}

fn count(event: &str) -> Vec<Counter> {
    let path = format!("/sys/kernel/tracing/events/{event}/id");
    let id = fs::read_to_string(&path).expect(&path);
    let event = Tracepoint::with_id(id.trim_end().parse().expect("a number"));
    let threads = fs::read_dir("/proc/1/task").expect("threads");
    let of_thread = |thread: fs::DirEntry| {
        let tid = thread
            .file_name()
            .to_string_lossy()
            .parse()
            .expect("a number");
        // One that has ended since runs no more.
        let mut builder = Builder::new(event);
        builder
            .observe_pid(tid)
            .any_cpu()
            .include_kernel()
            .enabled(true)
            .inherit(true);
        builder.build().ok()
    };
    threads
        .filter_map(|thread| of_thread(thread.expect("a thread")))
        .collect()
}
