//! What was measured, as text.

use std::fmt::Write as _;

use crate::{
    arm::Arm,
    compare::Runs,
    hits::Hits,
    interval::Interval,
    load::CONNECTIONS,
    neighbour::{self, Neighbour},
    outcome::Outcome,
    plan::Level,
    programs::{ProgramCost, Programs},
    sample::Sample,
};

/// Everything, the verdicts last.
pub fn whole(outcome: &Outcome) -> String {
    let runs = &outcome.runs;
    let mut text = format!(
        "Linux {}, {} CPUs for load, stack and tracer together; medians [95 % interval]\n\n",
        outcome.kernel, outcome.cpus
    );
    text += &stack(runs);
    for level in runs.levels() {
        text += &of_level(runs, level);
    }
    text += &costs(runs);
    text += &programs(Arm::Full, &outcome.full);
    text += &programs(Arm::Lean, &outcome.lean);
    text += &hits(&outcome.hits);
    text += &where_it_goes(outcome);
    text += &neighbour(&outcome.neighbour);
    for target in &outcome.targets {
        _ = writeln!(text, "{target}");
    }
    text
}

fn stack(runs: &Runs) -> String {
    let mut text = "The stack's own CPU per request, untraced\n".to_owned();
    for level in runs.levels() {
        let all = runs.median(level, Arm::Off, Sample::stack_us);
        let tiers = ["nginx", "app", "postgres"].map(|tier| {
            let median = runs.median(level, Arm::Off, |sample| sample.tier_us(tier));
            format!("{tier} {:.0}", median.map_or(0.0, |tier| tier.median))
        });
        _ = writeln!(
            text,
            "  {:<19} {} µs: {}",
            level.label(),
            number(all, 0),
            tiers.join(", ")
        );
    }
    text + "\n"
}

fn of_level(runs: &Runs, level: Level) -> String {
    let mut text = format!(
        "{}, {CONNECTIONS} connections, {} runs each\n  {:<18} {:>22} {:>23} {:>8} {:>23} {:>8} {:>9}\n",
        level.label(),
        runs.of(level, Arm::Off).len(),
        "",
        "requests/s",
        "p50 ms",
        "",
        "p99 ms",
        "",
        "CPU µs"
    );
    for arm in level.arms() {
        let ms = |ns: u64| ns as f64 / 1e6;
        let cpu = runs.median(level, arm, |sample| sample.stack_us() + sample.tracer_us());
        _ = writeln!(
            text,
            "  {:<18} {:>22} {:>23} {:>8} {:>23} {:>8} {:>9.0}",
            arm.label(),
            number(runs.median(level, arm, |sample| sample.rate), 0),
            number(runs.median(level, arm, |sample| ms(sample.p50_ns)), 3),
            change(runs, level, arm, |sample| sample.p50_ns as f64),
            number(runs.median(level, arm, |sample| ms(sample.p99_ns)), 3),
            change(runs, level, arm, |sample| sample.p99_ns as f64),
            cpu.map_or(0.0, |cpu| cpu.median),
        );
    }
    text + "\n"
}

/// The median change against no tracing.
fn change(runs: &Runs, level: Level, arm: Arm, figure: impl Fn(&Sample) -> f64 + Copy) -> String {
    let change = runs.change(&[level], (arm, Arm::Off), figure);
    change
        .filter(|_| arm != Arm::Off)
        .map_or_else(String::new, |change| {
            format!("{:+.1} %", change.median * 100.0)
        })
}

/// What traced itself.
fn costs(runs: &Runs) -> String {
    let Some(level) = runs.levels().last() else {
        return String::new();
    };
    let mut text = format!("What traces, per request, at {}\n", level.label());
    for arm in Arm::ALL {
        let samples = runs.of(level, arm);
        let per_request = |figure: fn(&crate::sample::TracerCost) -> u64| {
            let of = |sample: &Sample| {
                let tracer = sample.tracer.as_ref()?;
                Some(figure(tracer) as f64 / sample.requests.max(1) as f64)
            };
            Interval::of(samples.iter().filter_map(of)).map_or(0.0, |all| all.median)
        };
        if samples.iter().all(|sample| sample.tracer.is_none()) {
            continue;
        }
        _ = writeln!(
            text,
            "  {:<18} {:>6.1} µs CPU {:>7.0} bytes {:>6.1} events seen {:>6.1} left out in the kernel {:>6.1} kept {:>5.2} lost; {:>3} MiB resident",
            arm.label(),
            per_request(|tracer| tracer.cpu_ns) / 1000.0,
            per_request(|tracer| tracer.bytes),
            per_request(|tracer| tracer.kept() + tracer.left_out() + tracer.lost()),
            per_request(|tracer| tracer.left_out()),
            per_request(|tracer| tracer.kept()),
            per_request(|tracer| tracer.lost()),
            peak(samples) >> 20,
        );
    }
    text + "\n"
}

/// The tracer's largest resident size in some runs (bytes).
fn peak(samples: &[Sample]) -> u64 {
    let tracers = samples.iter().filter_map(|sample| sample.tracer.as_ref());
    let sizes = tracers.map(|tracer| tracer.peak_rss_bytes);
    sizes.max().unwrap_or(0)
}

/// Where a traced request's time goes: programs, traps, and the tracer itself.
fn where_it_goes(outcome: &Outcome) -> String {
    let (full, hits) = (&outcome.full, &outcome.hits);
    let per_request = |ns: u64| ns as f64 / 1000.0 / full.requests.max(1) as f64;
    let (usdt, kernel): (Vec<_>, Vec<_>) = full.programs.iter().partition(|p| p.is_usdt());
    let time = |programs: &[&ProgramCost]| per_request(programs.iter().map(|p| p.time_ns).sum());
    let fired: u64 = usdt.iter().map(|p| p.runs).sum();
    let fired = fired as f64 / full.requests.max(1) as f64;
    let hit = (hits.numbers_on.median - hits.numbers_off.median) / 1000.0;
    let tracer = outcome
        .runs
        .median(Level::Half, Arm::Full, Sample::tracer_us);
    let idle = outcome.runs.throughput((Arm::Beside, Arm::Off));
    format!(
        "Where a request's tracing goes at half of saturation, {}: {:.1} µs in kernel hooks, some {:.1} µs at {fired:.1} \
         hits of USDT probes (of that {:.1} µs in their programs), {:.1} µs in the tracer. Hooks and probes that find \
         nothing to tell, for another lab is traced, change the throughput by {} %\n\n",
        Arm::Full.label(),
        time(&kernel),
        fired * hit,
        time(&usdt),
        tracer.map_or(0.0, |tracer| tracer.median),
        number(idle.map(|share| share.scaled(100.0)), 1),
    )
}

fn programs(arm: Arm, programs: &Programs) -> String {
    let mut text = format!(
        "BPF programs at half of saturation, {}: {:.1} µs per request\n  {:<18} {:>12} {:>9} {:>12} {:>9}\n",
        arm.label(),
        programs.us_per_request(),
        "",
        "runs/request",
        "ns/run",
        "delivered",
        "ns/event"
    );
    for program in &programs.programs {
        let per_event = program.delivered.map_or_else(String::new, |delivered| {
            format!("{:.0}", program.time_ns as f64 / delivered as f64)
        });
        _ = writeln!(
            text,
            "  {:<18} {:>12.2} {:>9.0} {:>12} {:>9}",
            program.program,
            program.runs as f64 / programs.requests.max(1) as f64,
            program.time_ns as f64 / program.runs.max(1) as f64,
            program
                .delivered
                .map_or_else(String::new, |delivered| delivered.to_string()),
            per_event,
        );
    }
    _ = writeln!(
        text,
        "  kernel hooks together: {:.0} ns per run, {:.0} ns per event delivered ({} events)\n",
        programs.kernel_ns_per_run(),
        programs.kernel_ns_per_event(),
        programs.kernel_delivered
    );
    text
}

fn hits(hits: &Hits) -> String {
    format!(
        "One hit of a USDT probe, trap, program and record included (ns)\n\
         \u{20} two numbers            {} untraced, {} traced\n\
         \u{20} two numbers and a text {} untraced, {} traced\n\n",
        number(Some(hits.numbers_off), 1),
        number(Some(hits.numbers_on), 0),
        number(Some(hits.text_off), 1),
        number(Some(hits.text_on), 0),
    )
}

fn neighbour(busy: &Neighbour) -> String {
    let per_request = |count: u64| count as f64 / busy.requests.max(1) as f64;
    format!(
        "Beside an untraced lab at saturation, traced at {:.0}/s ({} requests there, {} here)\n\
         \u{20} {:.1} % of what the hooks see never leaves the kernel (goal: 80 %); per traced request {:.1} seen, \
         {:.1} left out, {:.1} kept, {:.2} lost\n\n",
        neighbour::RATE,
        busy.others,
        busy.requests,
        busy.share() * 100.0,
        per_request(busy.tracer.kept() + busy.tracer.left_out() + busy.tracer.lost()),
        per_request(busy.tracer.left_out()),
        per_request(busy.tracer.kept()),
        per_request(busy.tracer.lost()),
    )
}

fn number(interval: Option<Interval>, digits: usize) -> String {
    interval.map_or_else(
        || "-".to_owned(),
        |all| {
            format!(
                "{:.digits$} [{:.digits$}, {:.digits$}]",
                all.median, all.low, all.high
            )
        },
    )
}
