//! Experiments: run the lab under a known load with known faults, record, assemble, and score the
//! result against what is known from outside.

mod assembly;
mod choose;
mod error;
mod folder;
mod progress;
mod quantile;
mod run;
mod score;
mod spec;
mod stitch;
mod truth;

pub use assembly::{Assembly, is_health};
pub use choose::{Pair, choose};
pub use error::{Error, Result};
pub use folder::{Folder, read_lines};
pub use progress::{Progress, Step};
pub use quantile::Quantiles;
pub use run::{Outcome, RunOptions, run, waterfalls};
pub use score::{Evidence, Score};
pub use spec::{Experiment, Fault, Load};
pub use stitch::{Truth, Verdicts};
pub use truth::{Injected, injected};
