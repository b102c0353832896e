//! Begins and ends windows at their times while the load runs.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tierscope_analyzer::Kind;
use tierscope_model::Nanos;

use super::joined::joined;
use super::{Hit, Injector, Site, clock::now};
use crate::error::Result;
use crate::window::{Window, causes};

/// A window as it was: a line of `truth.jsonl`. Times are CLOCK_MONOTONIC in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Which `[[window]]` of the experiment, from 0.
    pub window: usize,
    /// The kind of fault.
    pub fault: String,
    /// Where the time goes.
    pub hop: String,
    /// The kinds of finding that name it rightly.
    #[serde(with = "causes")]
    pub cause: Vec<Kind>,
    /// Its injector was told to make it hold.
    pub from_ns: u64,
    /// It was undone.
    pub to_ns: u64,
    /// The delay that each request that meets it suffers, where it is known.
    pub magnitude_ns: Option<Nanos>,
    /// The mechanism at work.
    pub hits: Vec<Hit>,
}

/// A window whose injector is ready.
pub(crate) struct Planned<'a> {
    number: usize,
    window: &'a Window,
    injector: Box<dyn Injector + 'a>,
}

/// Makes the injectors of all windows.
///
/// # Errors
/// One of them cannot work here.
pub(crate) fn plan<'a>(windows: &'a [Window], site: Site<'a>) -> Result<Vec<Planned<'a>>> {
    let planned = windows.iter().enumerate().map(|(number, window)| {
        let injector = window.inject.injector(site)?;
        Ok(Planned {
            number,
            window,
            injector,
        })
    });
    planned.collect()
}

/// Runs `load` and holds the windows meanwhile, each entry on a thread of its own. All is undone when
/// it returns; the first that fails rings the alarm, upon which all others end.
///
/// # Errors
/// A window's, else the load's.
pub(crate) fn hold(
    windows: Vec<Planned<'_>>,
    start_ns: u64,
    load: impl FnOnce(&Alarm) -> Result<()>,
) -> Result<Vec<Held>> {
    let alarm = &Alarm::default();
    let (loaded, outcomes) = thread::scope(|scope| {
        let threads: Vec<_> = windows
            .into_iter()
            .map(|planned| scope.spawn(move || planned.hold_all(start_ns, alarm)))
            .collect();
        let loaded = load(alarm);
        alarm.ring();
        let outcomes: Vec<_> = threads
            .into_iter()
            .map(|thread| joined(thread.join()))
            .collect();
        (loaded, outcomes)
    });
    let mut held = Vec::new();
    for outcome in outcomes {
        held.extend(outcome?);
    }
    loaded?;
    held.sort_by_key(|held| held.from_ns);
    Ok(held)
}

impl Planned<'_> {
    fn hold_all(mut self, start_ns: u64, alarm: &Alarm) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        let window = self.window;
        for start_s in &window.starts_s {
            if !alarm.sleep_until(start_ns + (start_s * 1e9) as u64) {
                break;
            }
            held.push(self.hold(alarm).inspect_err(|_| alarm.ring())?);
        }
        Ok(held)
    }

    fn hold(&mut self, alarm: &Alarm) -> Result<Held> {
        let (from_ns, window) = (now(), self.window);
        self.injector.begin()?;
        alarm.sleep_until(now() + window.for_ms * 1_000_000);
        let hits = self.injector.end()?;
        Ok(Held {
            window: self.number,
            fault: window.inject.name().to_owned(),
            hop: window.hop.clone(),
            cause: window.cause.clone(),
            from_ns,
            to_ns: now(),
            magnitude_ns: window.magnitude_ns,
            hits,
        })
    }
}

/// Ends all windows at once: when the load has ended, or when one of them failed.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Alarm {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    /// Whether there was an alarm.
    pub(crate) fn is_rung(&self) -> bool {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until that time (CLOCK_MONOTONIC, ns). False where an alarm ended it.
    fn sleep_until(&self, at_ns: u64) -> bool {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = Duration::from_nanos(at_ns.saturating_sub(now()));
            if *rung || left.is_zero() {
                return !*rung;
            }
            let woken = self.heard.wait_timeout(rung, left);
            rung = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
