//! Experiments: run the lab under a known load with known faults, record, assemble, and score the
//! result against what is known from outside.

mod assembly;
mod changed;
mod check;
mod detection;
mod error;
mod folder;
mod inject;
mod load;
mod normal;
mod progress;
mod quantile;
mod reach;
mod run;
mod score;
mod score_checks;
mod sources;
mod spec;
mod stitch;
mod suite;
mod trace_log;
mod traces;
mod truth;
mod window;

pub use assembly::{Ending, Sink, assemble};
pub use changed::ChangeScore;
pub use check::{CHECKS, Check, Verdict};
pub use detection::{Detection, FaultScore, MagnitudeError};
pub use error::{Error, Result};
pub use folder::{Folder, each_line, private_file, read_lines, write_json};
pub use inject::{Fault as WindowFault, Held, Hit};
pub use load::BEGINS;
pub use normal::Normal;
pub use progress::{Progress, Step};
pub use quantile::Quantiles;
pub use run::{Outcome, RunOptions, run, waterfalls};
pub use score::{Score, Scorer};
pub use sources::{Outside, Sources};
pub use spec::{Closed, Experiment, Fault, LabChanges, Load, Rate, RateStep};
pub use stitch::{Truth, Verdicts};
pub use suite::{Row, RowOutcome, SuitePromise, promises, suite, verify};
pub use trace_log::{Pair, TraceLog};
pub use traces::each_trace;
pub use truth::{Injected, Line, injected};
pub use window::Window;
