//! A run judged by itself: all of it is learned first, then what can have findings is looked at again.

use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use tierscope_analyzer::{Baseline, Findings, Glance, Judge, Others, Tally};
use tierscope_model::{Nanos, Trace};

use crate::error::{Error, Result};
use crate::traces::{each_trace, each_trace_if};

/// Judges the traces of `source` by themselves; `window`: length of the windows in which changes are
/// looked for. What is kept of each trace in between is in a file: memory does not grow with their number.
///
/// # Errors
/// The source is none or cannot be read, or there is no room for the file.
pub fn judge_by_itself(source: &Path, window: Nanos) -> Result<Findings> {
    let place = std::env::temp_dir();
    let mut file = tempfile::tempfile().map_err(Error::write(&place))?;
    let mut kept = BufWriter::new(&mut file);
    let (mut baseline, mut others, mut failed) = (Baseline::new(), Others::default(), Ok(()));
    each_trace(source, &mut |trace: Trace| {
        others.note(&trace);
        let glance = baseline.glance(&trace);
        if failed.is_ok() {
            failed = keep(&mut kept, glance.as_ref());
        }
    })?;
    let failed = failed.and_then(|()| kept.flush());
    drop(kept);
    failed.map_err(Error::write(&place))?;
    file.seek(SeekFrom::Start(0))
        .map_err(Error::write(&place))?;
    let judge = Judge::of_same(baseline)
        .knowing(others)
        .with_windows(window);
    second_look(source, judge, BufReader::new(file), &place)
}

fn keep(kept: &mut impl Write, glance: Option<&Glance>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *kept, &glance)?;
    kept.write_all(b"\n")
}

fn second_look(
    source: &Path,
    judge: Judge,
    mut kept: impl BufRead,
    place: &Path,
) -> Result<Findings> {
    let both = std::cell::RefCell::new((judge, Tally::default()));
    let mut line = String::new();
    let mut is_worth = || {
        line.clear();
        kept.read_line(&mut line).map_err(Error::read(place))?;
        let glance: Option<Glance> =
            serde_json::from_str(&line).map_err(|e| Error::read(place)(e.into()))?;
        let (judge, tally) = &mut *both.borrow_mut();
        Ok(judge.glanced(glance.as_ref(), tally))
    };
    each_trace_if(source, &mut is_worth, &mut |trace: Trace| {
        let (judge, tally) = &mut *both.borrow_mut();
        let verdict = judge.look_again(&trace);
        tally.add(&trace.endpoint, verdict);
    })?;
    let (mut judge, tally) = both.into_inner();
    Ok(judge.conclude(tally))
}
