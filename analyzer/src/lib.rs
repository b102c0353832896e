//! What is normal, what is not, and why: critical paths, baselines, findings.
//!
//! Pure: traces in, findings out. The critical path works on any tree of intervals, so traces made by
//! others are measured by the same walk.

mod compare;
mod path;
mod self_time;
mod tree;

pub use compare::{Cell, Comparison, Normal, Row, Tag, Usual, compare};
pub use path::{CriticalPath, Overlap, Step};
pub use tree::{Node, Tree};
