//! The app's cache is emptied again and again: lookups that used to hit it miss.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tierscope_stack::Role;

use super::ticker::Ticker;
use super::{Hit, Injector, Site};
use crate::error::{Error, Result};

/// The lab's app empties its caches at SIGUSR1.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CacheEmptied {
    /// How often, in milliseconds.
    every_ms: u64,
}

impl CacheEmptied {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Emptier> {
        let app = site.lab.processes().iter().find(|p| p.role == Role::App);
        let pid = app.and_then(|app| i32::try_from(app.pid).ok());
        let pid = pid.ok_or_else(|| failed("the lab has no app"))?;
        Ok(Emptier {
            pid: Pid::from_raw(pid),
            every: Duration::from_millis(self.every_ms),
            ticker: None,
        })
    }
}

pub(super) struct Emptier {
    pid: Pid,
    every: Duration,
    ticker: Option<Ticker>,
}

impl Injector for Emptier {
    fn begin(&mut self) -> Result<()> {
        let pid = self.pid;
        let tick = move || kill(pid, Signal::SIGUSR1).map_err(failed);
        self.ticker = Some(Ticker::start(self.every, tick)?);
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let what = |times| format!("emptied {times} times");
        let hit = self.ticker.take().map(|ticker| ticker.end(what));
        hit.into_iter().collect()
    }
}

fn failed(reason: impl ToString) -> Error {
    Error::Inject {
        fault: "cache-emptied",
        reason: reason.to_string(),
    }
}
