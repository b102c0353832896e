//! What is normal, what is not, and why: critical paths, baselines, findings.
//!
//! Pure: traces in, findings out. The critical path works on any tree of intervals, so traces made by
//! others are measured by the same walk.

mod baseline;
mod busy;
mod cause;
mod compare;
mod delta;
mod detect;
mod finding;
mod glance;
mod holders;
mod host;
mod judge;
mod label;
mod limit;
mod names;
mod others;
mod path;
mod profile;
mod role;
mod segment;
mod self_time;
mod shift;
mod sketch;
mod tally;
mod tree;
mod typical;
mod windows;
mod words;

pub use baseline::{Baseline, BaselineError, SMALLEST};
pub use cause::{Cause, CauseKind};
pub use compare::{Cell, Comparison, Normal, Row, Tag, Usual, compare};
pub use delta::Repeated;
pub use finding::{Delta, Finding, Flagged, Kind};
pub use glance::Glance;
pub use judge::{Judge, Verdict};
pub use limit::Limit;
pub use others::Others;
pub use path::{CriticalPath, Overlap, Step};
pub use segment::{Segment, State, segments};
pub use sketch::Sketch;
pub use tally::{Findings, Group, Hit, Tally};
pub use tree::{Node, Tree};
pub use windows::{Change, Window};
