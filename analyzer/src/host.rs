//! What the host did to several requests at once: they waited for a CPU, or for a disk, together.
//!
//! One such time may hold up every request that is open. That is one finding, however many requests it hit:
//! which of them had to wait is chance.

use std::collections::{BTreeMap, BTreeSet};

use tierscope_model::{Doing, Nanos, Timestamp, Trace, TraceId};

use crate::cause::CauseKind;
use crate::finding::{Flagged, Kind};
use crate::names::Names;
use crate::profile::Profile;
use crate::windows::Change;
use crate::words::{count, ms};

/// Waits shorter than this are no host's trouble.
pub(crate) const SHORTEST: Nanos = 5_000_000;
/// Waits with less than this between them are of one time.
const PAUSE: Nanos = 100_000_000;
/// So many threads, or requests, that waited make it the host's.
const SEVERAL: usize = 2;
/// Most times that are kept; of more, the latest. And most threads and requests counted in one.
const LIMIT: usize = 4_096;
const COUNTED: usize = 16;

/// What of the host was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Cpu,
    Disk,
}

/// A time in which threads waited for it, most of the time several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spell {
    pub(crate) end: Timestamp,
    threads: BTreeSet<u32>,
    requests: BTreeSet<TraceId>,
    /// What ran meanwhile, and for how long threads waited behind it.
    behind: BTreeMap<String, Nanos>,
}

/// What was waited for, and since when.
pub(crate) type Key = (Resource, Timestamp);

/// All such times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    spells: BTreeMap<Key, Spell>,
    first: Option<Timestamp>,
}

impl Host {
    /// Notes when a trace began: times are told from the first one's.
    pub(crate) fn begins(&mut self, start: Timestamp) {
        self.first = Some(self.first.map_or(start, |first| first.min(start)));
    }

    /// Notes what a trace's threads waited for.
    pub(crate) fn note(&mut self, trace: &Trace, profile: &Profile, names: &Names) {
        self.begins(profile.start);
        for slice in trace.spans.iter().flat_map(|span| &span.slices) {
            if slice.doing == Doing::Runnable && slice.duration() >= SHORTEST {
                let spell = self.spell(Resource::Cpu, slice.start, slice.end);
                spell.add(slice.tid, trace.trace_id);
                let behind = slice.instead.as_deref().unwrap_or("nothing: a CPU quota");
                spell.wait_behind(behind, slice.duration());
            }
        }
        for piece in &profile.pieces {
            let segment = &piece.segment;
            let kind = names.kind_of(piece.cause);
            let is_disk = matches!(kind, CauseKind::Disk | CauseKind::File);
            if is_disk && segment.duration() >= SHORTEST {
                let pid = trace.spans[segment.span].resource.pid;
                let spell = self.spell(Resource::Disk, segment.start, segment.end);
                spell.add(pid, trace.trace_id);
            }
        }
    }

    /// The spell that `[start, end]` is part of, joined with those that it touches.
    fn spell(&mut self, of: Resource, start: Timestamp, end: Timestamp) -> &mut Spell {
        let (mut from, mut joined) = (
            start,
            Spell {
                end,
                ..Spell::default()
            },
        );
        while let Some((key, spell)) = self.spells.range(..=(of, joined.end + PAUSE)).next_back() {
            if key.0 != of || spell.end + PAUSE < from {
                break;
            }
            let key = *key;
            let Some(other) = self.spells.remove(&key) else {
                break;
            };
            from = from.min(key.1);
            joined.join(other);
        }
        if self.spells.len() >= LIMIT {
            self.spells.pop_first();
        }
        self.spells.entry((of, from)).or_insert(joined)
    }

    /// The time that a request's findings are part of, if they all are: nothing else is the matter with it.
    pub(crate) fn of(&self, flagged: &Flagged) -> Option<Key> {
        let all = |of: &Resource| {
            let mut findings = flagged.findings.iter();
            findings.all(|found| waits_for(found.kind, *of))
        };
        let mut fitting = [Resource::Cpu, Resource::Disk].into_iter().filter(all);
        fitting.find_map(|of| self.holding(of, flagged))
    }

    /// The spell in which the request spent at least half of what its findings cost.
    fn holding(&self, of: Resource, flagged: &Flagged) -> Option<Key> {
        let end = flagged.start + flagged.duration_ns;
        let cost: Nanos = flagged.findings.iter().map(|found| found.cost_ns).sum();
        let spells = self.spells.range((of, Timestamp(0))..=(of, end)).rev();
        let overlapping = spells.take_while(|(_, spell)| spell.end > flagged.start);
        let mut several = overlapping.filter(|(_, spell)| spell.is_of_several());
        let held = several.find(|((_, start), spell)| {
            let shared = spell.end.min(end).since((*start).max(flagged.start));
            2 * shared >= cost
        });
        held.map(|(key, _)| *key)
    }

    /// A change per time that requests are part of; `together` are those requests.
    pub(crate) fn changes(&self, together: &[(Key, Flagged)]) -> Vec<Change> {
        let mut by_spell: BTreeMap<Key, Vec<&Flagged>> = BTreeMap::new();
        for (key, flagged) in together {
            by_spell.entry(*key).or_default().push(flagged);
        }
        let told = by_spell.iter();
        told.filter_map(|(key, all)| Some(self.change(*key, self.spells.get(key)?, all)))
            .collect()
    }

    fn change(&self, (of, start): Key, spell: &Spell, all: &[&Flagged]) -> Change {
        let first = self.first.unwrap_or(start);
        let (from_ns, to_ns) = (start.since(first), spell.end.since(first));
        let endpoints: BTreeSet<String> = all.iter().map(|f| f.endpoint.clone()).collect();
        let findings = || all.iter().flat_map(|flagged| &flagged.findings);
        let (kind, what) = match of {
            Resource::Cpu => (Kind::RunQueue, "a CPU"),
            Resource::Disk => (Kind::DiskWait, "a disk"),
        };
        let behind = spell.mostly().map(|(what, nanos)| {
            format!(", most of the time behind {what} ({} in all)", ms(nanos))
        });
        Change {
            kind,
            of: "host".to_owned(),
            from_ns,
            to_ns,
            requests: all.len() as u64,
            cost_ns: findings().map(|found| found.cost_ns).sum(),
            effect: 1.0,
            p: findings().map(|found| found.p).fold(1.0, f64::min),
            sentence: format!(
                "for {} from {:.2} s on, several threads waited for {what} at once{}: it held up {} of {}.",
                ms(to_ns - from_ns),
                from_ns as f64 / 1e9,
                behind.unwrap_or_default(),
                count(all.len() as u64, "request"),
                count(endpoints.len() as u64, "endpoint"),
            ),
            threshold: format!(
                "waits of {} or more, of several threads or more than {SEVERAL} requests, and nothing else the matter with the requests",
                ms(SHORTEST)
            ),
            endpoints: endpoints.into_iter().collect(),
        }
    }
}

impl Spell {
    fn add(&mut self, thread: u32, request: TraceId) {
        put(&mut self.threads, thread);
        put(&mut self.requests, request);
    }

    fn wait_behind(&mut self, what: &str, nanos: Nanos) {
        if let Some(known) = self.behind.get_mut(what) {
            *known += nanos;
        } else if self.behind.len() < COUNTED {
            self.behind.insert(what.to_owned(), nanos);
        }
    }

    fn join(&mut self, other: Spell) {
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

    fn is_of_several(&self) -> bool {
        self.threads.len() >= SEVERAL || self.requests.len() > SEVERAL
    }

    /// What was waited behind most.
    pub(crate) fn mostly(&self) -> Option<(&str, Nanos)> {
        let most = self.behind.iter().max_by_key(|(_, nanos)| **nanos);
        most.map(|(what, nanos)| (what.as_str(), *nanos))
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, value: T) {
    if set.len() < COUNTED {
        set.insert(value);
    }
}

/// Whether a finding of this kind is how a wait for it shows: itself, or as what others did not do meanwhile.
fn waits_for(kind: Kind, resource: Resource) -> bool {
    match resource {
        Resource::Cpu => matches!(kind, Kind::RunQueue | Kind::SocketBuffer | Kind::Asleep),
        Resource::Disk => matches!(kind, Kind::DiskWait | Kind::SlowFile | Kind::LwlockWait),
    }
}
