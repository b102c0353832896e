//! What is loaded, what it costs, and what happens when it cannot deliver.

use aya::programs::loaded_programs;
use tierscope_tracer::hooks::HOOKS;
use tierscope_tracer::host::{Check, HostReport};
use tierscope_tracer::wire_record::*;
use tierscope_tracer::{Tracer, TracerError, TracerOptions, probe_host};

use crate::records::Records;
use crate::workload::{self, Workload};
use crate::{can_trace, emulated, trace, trace_with_ring};

/// `BPF_PROG_TYPE_TRACING`, `BPF_PROG_TYPE_TRACEPOINT` and `BPF_PROG_TYPE_KPROBE` (uprobes): none of them
/// can change a packet or a process.
const OBSERVING: [u32; 3] = [26, 5, 2];

#[test]
fn every_program_only_observes() {
    if !can_trace() {
        return;
    }
    let tracer = trace(&[]);
    let names: Vec<_> = tracer
        .stats()
        .into_iter()
        .map(|stats| stats.program)
        .collect();
    assert!(names.len() > 10, "{names:?}");
    let mut seen = 0;
    for program in loaded_programs().filter_map(Result::ok) {
        // The kernel keeps 15 characters of a name.
        if names
            .iter()
            .any(|name| program.name_as_str() == Some(&name[..name.len().min(15)]))
        {
            assert!(
                OBSERVING.contains(&(program.program_type() as u32)),
                "{program:?}"
            );
            seen += 1;
        }
    }
    assert!(seen >= names.len());
}

#[test]
fn every_hook_is_reported() {
    if !can_trace() {
        return;
    }
    let tracer = trace(&[]);
    for hook in HOOKS {
        assert!(
            tracer
                .hooks()
                .iter()
                .any(|report| report.event == hook.event && report.attached),
            "{}",
            hook.event
        );
    }
}

#[test]
fn a_ring_that_overflows_counts_what_it_lost() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("many");
    let mut tracer = trace_with_ring(&[workload.pid()], 1 << 16);
    workload.run();
    let mut in_ring = 0;
    tracer.drain(&mut |_| in_ring += 1);
    let counts = tracer.counts().expect("counts");
    // One PROCESS record was made by the tracer itself.
    assert_eq!(counts.iter().map(|c| c.delivered).sum::<u64>() + 1, in_ring);
    let records = Records::take(&mut tracer);
    let lost: u64 = records.losses.iter().map(|loss| loss.count).sum();
    assert_eq!(lost, counts.iter().map(|c| c.lost).sum::<u64>());
    let recv = counts[TS_PROGRAM_RECV as usize];
    // The end of the stream is one read more.
    assert_eq!(
        recv.delivered + recv.lost,
        2 * workload::MANY_EXCHANGES as u64 + 1
    );
    assert!(lost > 0);
    assert!(
        records
            .losses
            .iter()
            .all(|loss| loss.first_ts <= loss.last_ts && loss.first_ts > 0)
    );
    assert!(
        Records::take(&mut tracer).losses.is_empty(),
        "each loss is told once"
    );
}

#[test]
fn the_cost_of_an_event() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("many");
    let mut tracer = trace(&[workload.pid()]);
    workload.run();
    Records::take(&mut tracer).check_no_loss();
    for stats in tracer.stats().iter().filter(|stats| stats.runs > 0) {
        let per_run = stats.time_ns / stats.runs;
        println!(
            "{:>16} {:>9} runs {per_run:>6} ns",
            stats.program, stats.runs
        );
        assert!(per_run < 100_000 || emulated(), "{stats:?}");
    }
}

#[test]
fn the_host_is_looked_at() {
    let report = probe_host();
    assert!(!report.kernel_release.is_empty());
    if can_trace() {
        print_hooks(&report);
        assert!(report.can_trace());
        // Accepts are seen in a way of their own.
        assert_eq!(report.hooks.len(), HOOKS.len() + 1);
        for hook in &report.hooks {
            assert!(hook.taken().is_some(), "{hook:?}");
        }
    } else {
        assert!(!report.can_trace());
    }
}

/// A line for each hook with the kinds of its form, for the table of kernels.
fn print_hooks(report: &HostReport) {
    for hook in &report.hooks {
        let form = hook.taken().map_or("none", |taken| &taken.form);
        let kinds: Vec<_> = form
            .split("; ")
            .filter_map(|part| part.split(' ').next())
            .collect();
        println!("hook {}: {}", hook.event, kinds.join(", "));
    }
    let user = |check: &&Check| check.what == "programs at uprobes";
    for check in report.checks.iter().filter(user) {
        let short = check.detail.split(':').next().unwrap_or_default();
        println!("hook user-space probes: {short}");
    }
}

#[test]
fn wrong_use_is_told() {
    if !can_trace() {
        return;
    }
    let start = |ring_bytes| {
        let options = TracerOptions {
            ring_bytes,
            ..Default::default()
        };
        Tracer::start(options)
    };
    for bytes in [0, 1000, 2048, 3 << 20] {
        assert!(
            matches!(start(bytes), Err(TracerError::RingSize { .. })),
            "{bytes}"
        );
    }
    let mut tracer = trace(&[]);
    let own = tracer.add_process(0, std::process::id());
    assert!(
        matches!(own, Err(TracerError::OwnProcess { .. })),
        "{own:?}"
    );
    // Above the largest pid that a kernel gives.
    let none = tracer.add_process(0, 1 << 23);
    assert!(
        matches!(none, Err(TracerError::NoSuchProcess { .. })),
        "{none:?}"
    );
    let service = tracer.add_process(1, 1);
    assert!(
        matches!(service, Err(TracerError::NoSuchService { .. })),
        "{service:?}"
    );
}
