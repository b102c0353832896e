//! What the host did to several requests at once: they waited for a CPU, or for a disk, together.
//!
//! One such time may hold up every request that is open. That is one finding, however many requests it hit:
//! which of them had to wait is chance.

mod spell;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use tierscope_model::{Nanos, Timestamp, Trace};

use crate::finding::{Flagged, Kind};
use crate::names::Names;
use crate::profile::Profile;
use crate::windows::{Change, Window};
use crate::words::{chance, count, ms};
use spell::{SEVERAL, Spell};
pub(crate) use wait::SHORTEST;
use wait::waits;

/// Waits with less than this between them are of one time.
const PAUSE: Nanos = 100_000_000;
/// Most times that are kept; of more, the latest.
const LIMIT: usize = 4_096;

/// What of the host was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Cpu,
    Disk,
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
        for wait in waits(trace, profile, names) {
            let spell = self.spell(wait.of, wait.start, wait.end);
            spell.add(wait.thread, trace.trace_id);
            if let Some((what, nanos)) = wait.behind {
                spell.wait_behind(what, nanos);
            }
        }
    }

    /// Whether any of a trace's waits was one of several threads'.
    pub(crate) fn held_up(&self, trace: &Trace, profile: &Profile, names: &Names) -> bool {
        let mut waits = waits(trace, profile, names);
        waits.any(|wait| {
            let key = (wait.of, wait.start);
            let spell = self.spells.range(..=key).next_back();
            spell.is_some_and(|(key, spell)| {
                key.0 == wait.of && spell.end >= wait.end && spell.is_of_several()
            })
        })
    }

    /// The spell that `[start, end]` is part of, joined with those that it touches.
    fn spell(&mut self, of: Resource, start: Timestamp, end: Timestamp) -> &mut Spell {
        let (mut from, mut joined) = (start, Spell::until(end));
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
            findings.all(|found| waits_for(found.root(), *of))
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

    /// One change for each of what was waited for; `together` are the requests that it held up, and when.
    pub(crate) fn changes(&self, together: &[(Key, Flagged)]) -> Vec<Change> {
        let mut times: BTreeMap<Resource, Times<'_>> = BTreeMap::new();
        for (key, flagged) in together {
            let times = times.entry(key.0).or_default();
            times.requests.push(flagged);
            times.spells.extend(self.spells.get_key_value(key));
        }
        let told = times.iter();
        told.filter_map(|(of, times)| self.change(*of, times))
            .collect()
    }

    fn change(&self, of: Resource, times: &Times<'_>) -> Option<Change> {
        let ((_, start), _) = times.spells.first_key_value()?;
        let end = times.spells.values().map(|spell| spell.end).max()?;
        let first = self.first.unwrap_or(*start);
        let endpoints: BTreeSet<&str> = times.requests.iter().map(|f| &*f.endpoint).collect();
        let findings = || times.requests.iter().flat_map(|flagged| &flagged.findings);
        let cost_ns = findings().map(|found| found.cost_ns).sum();
        let p = findings().map(|found| found.p).fold(1.0, f64::min);
        let kind = match of {
            Resource::Cpu => Kind::RunQueue,
            Resource::Disk => Kind::DiskWait,
        };
        let (from_ns, to_ns) = (start.since(first), end.since(first));
        Some(Change {
            kind,
            of: "host".to_owned(),
            from_ns,
            to_ns,
            windows: vec![Window { from_ns, to_ns }],
            requests: times.requests.len() as u64,
            cost_ns,
            effect: 1.0,
            p,
            sentence: format!(
                "{}: it held up {} of {}, {} in all ({}).",
                times.words(of, (from_ns, to_ns)),
                count(times.requests.len() as u64, "request"),
                count(endpoints.len() as u64, "endpoint"),
                ms(cost_ns),
                chance(p),
            ),
            threshold: format!(
                "waits of {} or more, of several threads or more than {SEVERAL} requests, and nothing else the matter with the requests",
                ms(SHORTEST)
            ),
            endpoints: endpoints.into_iter().map(str::to_owned).collect(),
        })
    }
}

/// The times in which one thing was waited for, and the requests that this held up.
#[derive(Default)]
struct Times<'a> {
    spells: BTreeMap<&'a Key, &'a Spell>,
    requests: Vec<&'a Flagged>,
}

impl Times<'_> {
    fn words(&self, of: Resource, (from_ns, to_ns): (Nanos, Nanos)) -> String {
        let lengths = self
            .spells
            .iter()
            .map(|(key, spell)| spell.end.since(key.1));
        let (seconds, sum) = (|nanos| nanos as f64 / 1e9, ms(lengths.sum()));
        let when = match self.spells.len() {
            1 => format!("for {sum} from {:.2} s on", seconds(from_ns)),
            times => format!(
                "{times} times between {:.2} s and {:.2} s, for {sum} in all",
                seconds(from_ns),
                seconds(to_ns)
            ),
        };
        let what = match of {
            Resource::Cpu => "a CPU",
            Resource::Disk => "a disk",
        };
        let mut all = Spell::default();
        for (behind, nanos) in self.spells.values().flat_map(|spell| &spell.behind) {
            all.wait_behind(behind, *nanos);
        }
        let behind = all
            .mostly()
            .map(|(what, nanos)| format!(", the longest behind {what} ({} in all)", ms(nanos)));
        let behind = behind.unwrap_or_default();
        format!("{when}, several threads waited for {what} at once{behind}")
    }
}

/// Whether a finding of this kind is how a wait for it shows: itself, or as what others did not do meanwhile.
fn waits_for(kind: Kind, resource: Resource) -> bool {
    match resource {
        Resource::Cpu => matches!(kind, Kind::RunQueue | Kind::SocketBuffer | Kind::Asleep),
        Resource::Disk => matches!(kind, Kind::DiskWait | Kind::SlowFile | Kind::LwlockWait),
    }
}
