//! Which requests held a connection to the database, and what went on meanwhile: who waited for it waited for that.

use std::collections::BTreeMap;

use tierscope_model::{Nanos, Timestamp, Trace, attr};

use crate::baseline::whole_profile;
use crate::cause::{Cause, CauseKind};
use crate::label::{Label, Labels};
use crate::limit::floor;
use crate::names::{CauseId, Names};
use crate::profile::Profile;
use crate::role::{Role, roles};
use crate::tree::Tree;

/// What takes less of the time that a connection is held is not kept.
const SHORTEST: Nanos = 1_000_000;
/// Most pieces that are kept of it.
const PIECES: usize = 64;
/// Most holds that are kept; of more, the latest. Few are long enough.
const LIMIT: usize = 65_536;

/// A connection's time in the hands of one request.
#[derive(Clone, Debug)]
struct Hold {
    end: Timestamp,
    request: Label,
    /// What the request's time went into, in order.
    pieces: Vec<(Timestamp, Timestamp, Cause)>,
}

/// Holds by start and backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holders {
    names: Names,
    holds: BTreeMap<(Timestamp, u32), Hold>,
    longest: Nanos,
}

/// Who held a backend's connection within some time, for how long, and what went on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) requests: BTreeMap<Label, Nanos>,
    pub(crate) causes: BTreeMap<Cause, Nanos>,
}

impl Holders {
    /// Notes the times for which a trace's request kept connections from others.
    pub(crate) fn note(&mut self, trace: &Trace, labels: &mut Labels) {
        let least = floor(CauseKind::Pool);
        if trace.root().is_none_or(|root| root.duration() < least) {
            return;
        }
        let mut holds = holds(trace);
        holds.retain(|(_, start, end)| end.since(*start) >= least);
        if holds.is_empty() {
            return;
        }
        let Some(profile) = whole_profile(trace, &mut self.names) else {
            return;
        };
        for (backend, start, end) in holds {
            let hold = Hold {
                end,
                request: labels.of(trace),
                pieces: self.pieces(&profile, start, end),
            };
            self.keep((start, backend), hold);
        }
    }

    fn pieces(
        &self,
        profile: &Profile,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<(Timestamp, Timestamp, Cause)> {
        let clipped = profile.pieces.iter().map(|piece| {
            let segment = &piece.segment;
            (segment.start.max(from), segment.end.min(to), piece.cause)
        });
        let mut kept: Vec<(Timestamp, Timestamp, CauseId)> = Vec::new();
        for (start, end, cause) in clipped.filter(|(start, end, _)| start < end) {
            match kept.last_mut() {
                Some(last) if last.2 == cause && last.1 == start => last.1 = end,
                _ => kept.push((start, end, cause)),
            }
        }
        let long = kept
            .into_iter()
            .filter(|(start, end, _)| end.since(*start) >= SHORTEST);
        let told = long.map(|(start, end, cause)| (start, end, self.names.cause_of(cause)));
        told.take(PIECES).collect()
    }

    fn keep(&mut self, key: (Timestamp, u32), hold: Hold) {
        self.longest = self.longest.max(hold.end.since(key.0));
        self.holds.insert(key, hold);
        if self.holds.len() > LIMIT {
            self.holds.pop_first();
        }
    }

    /// Adds who held a backend's connection within some time to `held`.
    pub(crate) fn during(&self, backend: u32, (from, to): (Timestamp, Timestamp), held: &mut Held) {
        let within = |start: Timestamp, end: Timestamp| end.min(to).since(start.max(from));
        let overlapping = self.holds.range((from - self.longest, 0)..(to, 0));
        for ((start, _), hold) in overlapping.filter(|((_, of), _)| *of == backend) {
            let nanos = within(*start, hold.end);
            if nanos == 0 {
                continue;
            }
            *held.requests.entry(hold.request.clone()).or_default() += nanos;
            for (start, end, cause) in &hold.pieces {
                *held.causes.entry(cause.clone()).or_default() += within(*start, *end);
            }
        }
    }
}

/// The times in which a request held connections, each with its backend's process: from the first call to the
/// last. When it waits for one again it has let go of those that it had.
fn holds(trace: &Trace) -> Vec<(u32, Timestamp, Timestamp)> {
    let tree = Tree::of(trace);
    let roles = roles(trace, &tree);
    let mut events: Vec<(Timestamp, Option<(u32, Timestamp)>)> = Vec::new();
    for (at, span) in trace.spans.iter().enumerate() {
        let above = tree.parent(at).map(|parent| roles[parent]);
        match roles[at] {
            Role::Pool => events.push((span.start, None)),
            Role::Backend if above != Some(Role::Backend) => {
                let call = &trace.spans[call(trace, &tree, at)];
                events.push((call.start, Some((span.resource.pid, call.end))));
            }
            _ => {}
        }
    }
    events.sort_unstable();
    let (mut open, mut done) = (BTreeMap::<u32, (Timestamp, Timestamp)>::new(), Vec::new());
    let whole = |(backend, (start, end))| (backend, start, end);
    for (start, event) in events {
        match event {
            None => done.extend(std::mem::take(&mut open).into_iter().map(whole)),
            Some((backend, end)) => {
                let hold = open.entry(backend).or_insert((start, end));
                hold.1 = hold.1.max(end);
            }
        }
    }
    done.extend(open.into_iter().map(whole));
    done
}

/// The outermost span of the call that a backend's span is in.
fn call(trace: &Trace, tree: &Tree, mut at: usize) -> usize {
    let is_query = |at: &usize| {
        let attributes = &trace.spans[*at].attributes;
        attributes.get(attr::DB_SYSTEM_NAME).is_some()
    };
    while let Some(parent) = tree.parent(at).filter(is_query) {
        at = parent;
    }
    at
}
