//! The tracer on the running kernel, against processes of which every byte is known.
//!
//! Needs root and a kernel that has the hooks; each test says so and passes where it has not.

mod behind;
mod blocks;
mod buffers;
mod early;
mod files;
mod hidden;
mod postgres;
mod programs;
mod quota;
mod records;
mod sampled;
mod sched;
mod sockets;
mod stacks;
mod uring;
mod workload;

use tierscope_tracer::{HookReport, Service, Tracer, TracerOptions};

/// Whether this test can run here; says why not.
fn can_trace() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: not root");
    }
    root
}

/// Whether this machine's processor is made of software: then programs take long, and no two clocks agree.
fn emulated() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("QEMU TCG"))
}

/// A tracer of one service with these processes.
fn trace(pids: &[u32]) -> Tracer {
    trace_with_ring(pids, 16 << 20)
}

fn trace_with_ring(pids: &[u32], ring_bytes: u32) -> Tracer {
    let service = Service {
        name: "tested".into(),
        pids: pids.to_vec(),
        binary: None,
    };
    trace_services(vec![service], ring_bytes)
}

fn trace_services(services: Vec<Service>, ring_bytes: u32) -> Tracer {
    hidden::begin();
    let options = TracerOptions {
        services,
        ring_bytes,
        time_programs: true,
        ..TracerOptions::default()
    };
    Tracer::start(options).expect("the tracer starts")
}

/// Whether this kernel gives `event` by trampolines, at functions.
fn by_trampolines(tracer: &Tracer, event: &str) -> bool {
    let of_event = |hook: &&HookReport| hook.event == event && hook.kind == "fexit";
    tracer.hooks().iter().any(|hook| of_event(&hook))
}
