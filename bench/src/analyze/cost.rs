//! What a process costs: time on a CPU, and the most memory that it had.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

/// The cost of one command.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// In user space and in the kernel, all threads, in microseconds.
    user_us: i64,
    system_us: i64,
    /// Largest resident size.
    pub peak_kib: i64,
}

impl Cost {
    /// Runs a command in a process that has no other child, and gives its cost and what it said.
    pub fn of(command: &[&str]) -> anyhow::Result<(Cost, String)> {
        let mut measure = Command::new(std::env::current_exe()?);
        measure.args(["measure", "--"]).args(command);
        let output = measure
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(
            output.status.success(),
            "{}: {}",
            command.join(" "),
            output.status
        );
        let text = String::from_utf8(output.stdout)?;
        let (said, cost) = text.trim_end().rsplit_once('\n').unwrap_or(("", &text));
        let cost = serde_json::from_str(cost.trim()).context("what a command cost")?;
        Ok((cost, said.to_owned()))
    }

    /// Time on a CPU.
    pub fn seconds(&self) -> f64 {
        (self.user_us + self.system_us) as f64 / 1e6
    }
}

/// Runs a command, lets the first line that it says through, and says below what it cost.
pub fn run(command: &[String]) -> anyhow::Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let cost = Cost {
        user_us: micros(usage.user_time()),
        system_us: micros(usage.system_time()),
        peak_kib: usage.max_rss(),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{}", said.lines().next().unwrap_or_default());
    println!("{}", serde_json::to_string(&cost)?);
    Ok(())
}
