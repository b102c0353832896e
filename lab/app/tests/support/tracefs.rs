//! Fires of a binary's USDT probes, counted by the kernel's own uprobe tracer.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

use super::notes::Note;

/// Where the kernel's tracing file system is mounted.
pub const TRACEFS: &str = "/sys/kernel/tracing";

/// One fire of a probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Fire {
    pub probe: String,
    pub request: u128,
    /// Its further arguments: texts as they are, numbers in hex.
    pub arguments: Vec<String>,
}

/// Probes attached in a trace instance of their own; detached on drop.
pub struct Tracing {
    group: String,
    instance: PathBuf,
    probes: Vec<String>,
}

impl Tracing {
    /// Attaches to all `notes` of `binary`. `texts(probe, index)` tells which arguments are text.
    ///
    /// # Errors
    /// When the kernel does not allow it here.
    pub fn start(
        binary: &Path,
        notes: &[Note],
        texts: impl Fn(&str, usize) -> bool,
    ) -> io::Result<Self> {
        let group = format!("tierscope_app_test_{}", process::id());
        let instance = Path::new(TRACEFS).join("instances").join(&group);
        fs::create_dir(&instance)?;
        let mut tracing = Self {
            group,
            instance,
            probes: Vec::new(),
        };
        for note in notes {
            let arguments = fetch_arguments(note, &texts);
            tracing.add(binary, note, &arguments)?;
        }
        tracing.enable("1")?;
        Ok(tracing)
    }

    fn add(&mut self, binary: &Path, note: &Note, arguments: &str) -> io::Result<()> {
        let Note {
            name,
            offset,
            semaphore,
            ..
        } = note;
        let (group, binary) = (&self.group, binary.display());
        define(&format!(
            "p:{group}/{name} {binary}:{offset:#x}({semaphore:#x}){arguments}"
        ))?;
        if !self.probes.contains(name) {
            self.probes.push(name.clone());
        }
        Ok(())
    }

    fn enable(&self, value: &str) -> io::Result<()> {
        fs::write(
            self.instance
                .join("events")
                .join(&self.group)
                .join("enable"),
            value,
        )
    }

    /// All fires so far, in order of time.
    pub fn fires(&self) -> Vec<Fire> {
        let text = fs::read_to_string(self.instance.join("trace")).expect("read the trace");
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| parse(line).unwrap_or_else(|| panic!("not a probe's line: {line}")))
            .collect()
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        // What was not set up cannot be taken down: errors here say nothing new.
        let _ = self.enable("0");
        let _ = fs::remove_dir(&self.instance);
        for probe in &self.probes {
            let _ = define(&format!("-:{}/{probe}", self.group));
        }
    }
}

fn define(line: &str) -> io::Result<()> {
    let path = Path::new(TRACEFS).join("uprobe_events");
    OpenOptions::new()
        .append(true)
        .open(path)?
        .write_all(line.as_bytes())
}

/// `8@%rdi 8@%rsi 8@%rdx` as tracefs wants it: ` a0=%di:x64 a1=%si:x64 a2=+0(%dx):ustring`.
fn fetch_arguments(note: &Note, texts: impl Fn(&str, usize) -> bool) -> String {
    let registers = note
        .arguments
        .split(' ')
        .map(|operand| operand.strip_prefix("8@%r").expect("8 bytes in a register"));
    let fetch = registers.enumerate().map(|(index, register)| {
        if texts(&note.name, index) {
            format!(" a{index}=+0(%{register}):ustring")
        } else {
            format!(" a{index}=%{register}:x64")
        }
    });
    fetch.collect()
}

/// `task-1 [000] ..... 1.0: probe: (0x…) a0=0x… a1=0x… a2="…"`.
fn parse(line: &str) -> Option<Fire> {
    let (place, arguments) = line.split_once(" a0=")?;
    let probe = place.rsplit(": ").nth(1)?.to_owned();
    let mut values = arguments
        .split(" a")
        .enumerate()
        .map(|(index, part)| match index {
            0 => part,
            _ => part.split_once('=').map_or(part, |(_, value)| value),
        });
    let half = |text: Option<&str>| u64::from_str_radix(text?.strip_prefix("0x")?, 16).ok();
    let (hi, lo) = (half(values.next())?, half(values.next())?);
    Some(Fire {
        probe,
        request: u128::from(hi) << 64 | u128::from(lo),
        arguments: values
            .map(|value| value.trim_matches('"').to_owned())
            .collect(),
    })
}
