//! A time in which several threads waited for the same.

use std::collections::{BTreeMap, BTreeSet};

use tierscope_model::{Nanos, Timestamp, TraceId};

/// So many threads, or requests, that waited make it the host's.
pub(super) const SEVERAL: usize = 2;
/// Most threads, and most requests, that are counted.
const COUNTED: usize = 16;

/// A time in which threads waited for it, most of the time several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spell {
    pub(crate) end: Timestamp,
    threads: BTreeSet<u32>,
    requests: BTreeSet<TraceId>,
    /// What ran meanwhile, and for how long threads waited behind it.
    pub(super) behind: BTreeMap<String, Nanos>,
}

impl Spell {
    pub(super) fn until(end: Timestamp) -> Spell {
        Spell {
            end,
            ..Spell::default()
        }
    }

    pub(super) fn add(&mut self, thread: u32, request: TraceId) {
        put(&mut self.threads, thread);
        put(&mut self.requests, request);
    }

    pub(super) fn wait_behind(&mut self, what: &str, nanos: Nanos) {
        if let Some(known) = self.behind.get_mut(what) {
            *known += nanos;
        } else if self.behind.len() < COUNTED {
            self.behind.insert(what.to_owned(), nanos);
        }
    }

    pub(super) fn join(&mut self, other: Spell) {
        self.end = self.end.max(other.end);
        other
            .threads
            .into_iter()
            .for_each(|thread| put(&mut self.threads, thread));
        other
            .requests
            .into_iter()
            .for_each(|request| put(&mut self.requests, request));
        for (what, nanos) in &other.behind {
            self.wait_behind(what, *nanos);
        }
    }

    pub(super) fn is_of_several(&self) -> bool {
        self.threads.len() >= SEVERAL || self.requests.len() > SEVERAL
    }

    /// What was waited behind most.
    pub(super) fn mostly(&self) -> Option<(&str, Nanos)> {
        let most = self.behind.iter().max_by_key(|(_, nanos)| **nanos);
        most.map(|(what, nanos)| (what.as_str(), *nanos))
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, value: T) {
    if set.len() < COUNTED {
        set.insert(value);
    }
}
