//! A recording analyzed while it is written.

use std::collections::HashMap;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;
use tierscope_analyzer::{Baseline, Finding, Findings, Flagged, Judge, Kind, Tally, Verdict};
use tierscope_assembler::{Assembled, Options};
use tierscope_experiments::{Ending, Piece, Progress, RECORDING, assemble_from};
use tierscope_model::{Timestamp, Trace};
use tierscope_report::visible;
use tierscope_tracer::recording::{Growing, Reader};

use crate::terminal::print;
use crate::verbs::record::stop_signal;

/// Most things found that are told apart while they come.
const LIMIT: usize = 4_096;

/// Judges the traces of a recording until it ends or Ctrl-C comes; with what is normal by then. Unless
/// `quiet`, says what is found as it comes.
pub fn follow(
    source: &Path,
    mut judge: Judge,
    quiet: bool,
) -> anyhow::Result<(Findings, Baseline)> {
    let path = match source.is_dir() {
        true => source.join(RECORDING),
        false => source.to_owned(),
    };
    let stop = stop_signal()?;
    let file = Growing::open(&path, stop.clone());
    let file = file.with_context(|| format!("cannot read {}", path.display()))?;
    let reader = Reader::new(BufReader::new(file), &path)?;
    let (mut tally, mut told) = (Tally::default(), Told::default());
    let mut failed = Ok(());
    let mut sink = |step: Piece<'_>| {
        if let Piece::Made(Assembled::Request(trace)) = step {
            let verdict = judge.judge(&trace);
            if let (Verdict::Flagged(flagged), false) = (&verdict, quiet) {
                failed = told.tell(&trace, flagged);
            }
            tally.add(&trace.endpoint, verdict);
        }
        Ok(())
    };
    let progress = Progress::on_terminal();
    let ending = assemble_from(reader, Options::default(), &progress, &mut sink)?;
    failed?;
    if !stop.load(std::sync::atomic::Ordering::Relaxed) {
        say_how_it_ended(&path, &ending);
    }
    let normal = judge.baseline().clone();
    Ok((judge.conclude(tally), normal))
}

fn say_how_it_ended(path: &Path, ending: &Ending) {
    if !ending.finished {
        let path = path.display();
        eprintln!(
            "tierscope: {path} was not finished by its recorder: it was killed, or had no room"
        );
    }
    if let Some(torn) = ending.torn {
        let (offset, bytes) = (torn.offset, torn.bytes);
        eprintln!("tierscope: its end is torn at byte {offset}: {bytes} bytes skipped");
    }
}

/// How often each thing was found: it is told the first time, the second, the fourth, the eighth …
#[derive(Default)]
struct Told {
    first: Option<Timestamp>,
    often: HashMap<(Kind, String, String), u64>,
}

impl Told {
    fn tell(&mut self, trace: &Trace, flagged: &Flagged) -> anyhow::Result<()> {
        let first = *self.first.get_or_insert(flagged.start);
        for found in &flagged.findings {
            let Some(often) = self.count(&trace.endpoint, found) else {
                continue;
            };
            let times = if often > 1 {
                format!(" ({often} times)")
            } else {
                String::new()
            };
            let after = flagged.start.since(first) as f64 / 1e9;
            let (kind, endpoint) = (found.kind.name(), visible(&trace.endpoint));
            let sentence = visible(&found.sentence);
            print(&format!(
                "{after:9.3} s  {kind} · {endpoint}{times}: {sentence}\n"
            ))?;
        }
        Ok(())
    }

    /// How often it was found by now, where that is to be told.
    fn count(&mut self, endpoint: &str, found: &Finding) -> Option<u64> {
        let key = (found.kind, found.of.clone(), endpoint.to_owned());
        if self.often.len() >= LIMIT && !self.often.contains_key(&key) {
            return None;
        }
        let often = self.often.entry(key).or_default();
        *often += 1;
        often.is_power_of_two().then_some(*often)
    }
}
