//! What every BPF program costs: its run time by the kernel's own statistics, and what it delivered.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde::Serialize;
use tierscope_stack::Lab;
use tierscope_tracer::{Detail, Tracer, TracerOptions, recording::Header};

use crate::{load::Load, printer::services, progress::Progress};

/// As often as the recorder looks.
const DRAIN: Duration = Duration::from_millis(20);

/// Programs whose records are counted under another name than the object's.
const COUNTED_AS: [(&str, &str); 3] = [
    ("sched_switch", "switch"),
    ("socket_close", "close"),
    ("block_rq_complete", "block"),
];

/// One program during a load.
#[derive(Clone, Debug, Serialize)]
pub struct ProgramCost {
    /// Its name in the object.
    pub program: String,
    /// Runs.
    pub runs: u64,
    /// Time in them (ns); the kernel's reading of the clock around each run counts in part.
    pub time_ns: u64,
    /// Records that it delivered; none where another program delivers what this one begins.
    pub delivered: Option<u64>,
}

/// All programs during a load.
#[derive(Clone, Debug, Serialize)]
pub struct Programs {
    /// Requests of that load.
    pub requests: u64,
    /// Those that ran, the dearest first.
    pub programs: Vec<ProgramCost>,
    /// Records that kernel hooks delivered, USDT apart.
    pub kernel_delivered: u64,
}

/// What the counters say at one moment.
struct Reading {
    /// Runs and ns by program of the object.
    runs: BTreeMap<String, (u64, u64)>,
    /// Records by program of the counters.
    delivered: BTreeMap<String, u64>,
}

impl Programs {
    /// Traces `lab` under `load` some times and returns the median of these measurements.
    pub fn measure(
        lab: &Lab,
        load: &Load,
        detail: Detail,
        times: u32,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let one = |_| {
            progress.step(match detail {
                Detail::Full => "full",
                Detail::Lean => "lean",
            });
            let once = Self::once(lab, load, detail);
            progress.done();
            once
        };
        let mut all: Vec<Self> = (0..times).map(one).collect::<Result<_, _>>()?;
        all.sort_by(|a, b| a.us_per_request().total_cmp(&b.us_per_request()));
        Ok(all.swap_remove(all.len() / 2))
    }

    /// With every run of a program timed.
    fn once(lab: &Lab, load: &Load, detail: Detail) -> anyhow::Result<Self> {
        let mut tracer = Tracer::start(TracerOptions {
            services: services(lab.dir())?,
            time_programs: true,
            detail,
            ..TracerOptions::default()
        })?;
        let names = Header::of_this_host("", Vec::new())?.programs;
        let before = Reading::of(&tracer, &names)?;
        let over = AtomicBool::new(false);
        let summary = std::thread::scope(|scope| {
            let drained = scope.spawn(|| drain(&mut tracer, &over));
            let summary = load.run(lab.nginx_addr()?);
            over.store(true, Ordering::Relaxed);
            // A panic there goes on here.
            drained
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            summary
        })?;
        let after = Reading::of(&tracer, &names)?;
        Ok(after.since(&before, summary.total.sent))
    }

    /// Mean time in the kernel per record that kernel hooks delivered, their runs without one included (ns).
    pub fn kernel_ns_per_event(&self) -> f64 {
        let kernel = self.programs.iter().filter(|program| !program.is_usdt());
        let time: u64 = kernel.map(|program| program.time_ns).sum();
        time as f64 / self.kernel_delivered.max(1) as f64
    }

    /// Mean time of a run of a kernel hook (ns).
    pub fn kernel_ns_per_run(&self) -> f64 {
        let kernel = self.programs.iter().filter(|program| !program.is_usdt());
        let (runs, time) = kernel.fold((0, 0), |(runs, time), program| {
            (runs + program.runs, time + program.time_ns)
        });
        time as f64 / runs.max(1) as f64
    }

    /// Time in all programs per request (µs).
    pub fn us_per_request(&self) -> f64 {
        let time: u64 = self.programs.iter().map(|program| program.time_ns).sum();
        time as f64 / 1000.0 / self.requests.max(1) as f64
    }
}

impl ProgramCost {
    /// Whether it hangs on probes of the traced programs, whose trap it does not see.
    pub fn is_usdt(&self) -> bool {
        is_usdt(&self.program)
    }
}

fn counted_as(program: &str) -> &str {
    let other = COUNTED_AS.iter().find(|(name, _)| *name == program);
    other.map_or(program, |(_, counted)| counted)
}

fn is_usdt(program: &str) -> bool {
    program.starts_with("usdt")
}

fn drain(tracer: &mut Tracer, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        tracer.drain(&mut |_| {});
        std::thread::sleep(DRAIN);
    }
}

impl Reading {
    fn of(tracer: &Tracer, names: &[String]) -> anyhow::Result<Self> {
        let stats = tracer.stats().into_iter();
        let counts = tracer.counts()?.into_iter();
        Ok(Self {
            runs: stats
                .map(|program| (program.program, (program.runs, program.time_ns)))
                .collect(),
            delivered: counts
                .filter_map(|count| {
                    Some((names.get(count.program as usize)?.clone(), count.delivered))
                })
                .collect(),
        })
    }

    fn since(&self, before: &Self, requests: u64) -> Programs {
        let delivered: BTreeMap<_, _> = self
            .delivered
            .iter()
            .map(|(name, count)| {
                (
                    name.as_str(),
                    count - before.delivered.get(name).unwrap_or(&0),
                )
            })
            .collect();
        let mut programs: Vec<_> = self
            .runs
            .iter()
            .map(|(program, (runs, time))| {
                let (runs_before, time_before) =
                    before.runs.get(program).copied().unwrap_or_default();
                ProgramCost {
                    program: program.clone(),
                    runs: runs - runs_before,
                    time_ns: time - time_before,
                    delivered: delivered
                        .get(counted_as(program))
                        .copied()
                        .filter(|count| *count > 0),
                }
            })
            .filter(|program| program.runs > 0)
            .collect();
        programs.sort_by_key(|program| std::cmp::Reverse(program.time_ns));
        let kernel = delivered.iter().filter(|(name, _)| !is_usdt(name));
        Programs {
            requests,
            kernel_delivered: kernel.map(|(_, count)| count).sum(),
            programs,
        }
    }
}
