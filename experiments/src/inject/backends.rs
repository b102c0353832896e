//! The app's backends in the lab's PostgreSQL.

use super::Site;
use crate::error::{Error, Result};

/// Their process ids. The pool keeps its connections, so these are all there will be.
///
/// # Errors
/// PostgreSQL does not tell.
pub(super) fn backends(site: Site<'_>) -> Result<Vec<u32>> {
    let told = site.lab.ask(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'lab' AND backend_type = 'client backend';",
    )?;
    let pids: std::result::Result<Vec<u32>, _> =
        told.lines().map(|pid| pid.trim().parse()).collect();
    pids.map_err(|_| Error::Inject {
        fault: "the lab",
        reason: format!("`{told}` are no process ids"),
    })
}
