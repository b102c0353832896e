//! What one hit of a USDT probe costs the program that has it, trap included: a loop of hits with and
//! without the tracer.

use std::{io::Write as _, process::Stdio, time::Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{
    interval::Interval,
    progress::Progress,
    recording::Recording,
    tools::{Running, this},
};

/// The app's own probes: those that the tracer knows.
#[usdt::provider(provider = "tierscope_app")]
mod app {
    fn db_acquire_end(hi: u64, lo: u64) {}
    fn db_query_start(hi: u64, lo: u64, query: &str) {}
}

/// As long as the app's own.
const STATEMENT: &str = "SELECT id, name, email FROM users WHERE id > $1 ORDER BY id LIMIT 50";

/// Mean time of one hit (ns).
#[derive(Clone, Copy, Debug, Deserialize)]
struct Means {
    numbers: f64,
    text: f64,
}

/// Time of one hit (ns).
#[derive(Clone, Debug, Serialize)]
pub struct Hits {
    /// Two numbers, not traced.
    pub numbers_off: Interval,
    /// Two numbers, traced.
    pub numbers_on: Interval,
    /// Two numbers and a statement, not traced.
    pub text_off: Interval,
    /// Two numbers and a statement, traced.
    pub text_on: Interval,
}

impl Hits {
    /// Runs loops of `count` hits, traced and not by turns.
    pub fn measure(pairs: u32, count: u64, progress: &Progress) -> anyhow::Result<Self> {
        let (mut off, mut on) = (Vec::new(), Vec::new());
        let once = |traced, what| {
            progress.step(what);
            let means = once(count, traced);
            progress.done();
            means
        };
        for _ in 0..pairs {
            off.push(once(false, "untraced")?);
            on.push(once(true, "traced")?);
        }
        let of = |means: &[Means], figure: fn(&Means) -> f64| {
            Interval::of(means.iter().map(figure)).context("no pair was asked for")
        };
        Ok(Self {
            numbers_off: of(&off, |means| means.numbers)?,
            numbers_on: of(&on, |means| means.numbers)?,
            text_off: of(&off, |means| means.text)?,
            text_on: of(&on, |means| means.text)?,
        })
    }
}

fn once(count: u64, traced: bool) -> anyhow::Result<Means> {
    let mut command = this("hits")?;
    let mut process = Running::start(command.arg(count.to_string()).stdin(Stdio::piped()))?;
    let recording = traced
        .then(|| Recording::of_process(process.pid()))
        .transpose()?;
    let mut go = process.child().stdin.take().context("no pipe")?;
    go.write_all(b"go\n")?;
    let means = serde_json::from_slice(&process.end()?)?;
    recording.map(Recording::finish).transpose()?;
    Ok(means)
}

/// Waits for a line, then fires each probe `count` times and prints the [`Means`].
pub fn run(count: u64) -> anyhow::Result<()> {
    usdt::register_probes().context("cannot register the USDT probes")?;
    std::io::stdin().read_line(&mut String::new())?;
    let numbers = mean(count, |n| app::db_acquire_end!(|| (n, n)));
    let text = mean(count, |n| app::db_query_start!(|| (n, n, STATEMENT)));
    println!("{{\"numbers\": {numbers}, \"text\": {text}}}");
    Ok(())
}

fn mean(count: u64, fire: impl Fn(u64)) -> f64 {
    let begun = Instant::now();
    for n in 0..count {
        fire(std::hint::black_box(n));
    }
    begun.elapsed().as_nanos() as f64 / count as f64
}
