//! What is kept of a run that was judged, to judge others by.

use std::collections::HashSet;
use std::path::Path;

use tierscope_analyzer::{Baseline, Judge};
use tierscope_model::{Trace, TraceId};

use crate::error::Result;
use crate::traces::each_trace;

/// What is normal of a run: all its traces but those with findings, and those that the host held up together with
/// others. How its disk or its CPUs stood still is nothing of an endpoint's, and would hide what is.
///
/// # Errors
/// The run's traces cannot be read.
pub fn normal_of(source: &Path, judge: &mut Judge, flagged: &HashSet<TraceId>) -> Result<Baseline> {
    let mut normal = Baseline::new();
    each_trace(source, &mut |trace: Trace| {
        if !flagged.contains(&trace.trace_id) && !judge.was_held_up(&trace) {
            normal.learn(&trace);
        }
    })?;
    Ok(normal)
}
