//! Who is whose child, by the ids that spans state: shared, repeated, missing and circular ones too.

use std::collections::{HashMap, HashSet};

use tierscope_model::{SmolStr, SpanId, SpanKind, attr};

use super::field::hash;
use super::odd::Odd;
use super::own::Own;
use super::raw::Raw;

/// The spans of one trace, each with the place of its parent.
pub(super) struct Joined {
    pub(super) spans: Vec<Raw>,
    pub(super) own: Vec<Own>,
    pub(super) parents: Vec<Option<usize>>,
}

impl Joined {
    /// Joins spans; afterwards every id stands once, and no span is its own ancestor.
    pub(super) fn new(mut spans: Vec<Raw>, own: Vec<Own>) -> Joined {
        let places = Places::of(&spans);
        let parents = (0..spans.len())
            .map(|at| places.parent(&mut spans, at))
            .collect();
        rename(&mut spans, &places);
        let mut joined = Joined {
            spans,
            own,
            parents,
        };
        joined.cut_circles();
        joined
    }

    /// Walks up from every span; a walk that meets itself is cut at the member that starts first.
    fn cut_circles(&mut self) {
        let mut seen = vec![0; self.spans.len()];
        for from in 0..self.spans.len() {
            let walk = from + 1;
            let mut at = Some(from).filter(|at| seen[*at] == 0);
            while let Some(place) = at {
                seen[place] = walk;
                at = self.parents[place].filter(|up| seen[*up] == 0 || seen[*up] == walk);
                if let Some(up) = at.filter(|up| seen[*up] == walk) {
                    self.cut(up);
                    break;
                }
            }
        }
    }

    fn cut(&mut self, member: usize) {
        let mut circle = vec![member];
        let mut at = self.parents[member];
        while let Some(place) = at.filter(|place| *place != member) {
            circle.push(place);
            at = self.parents[place];
        }
        let first = circle
            .into_iter()
            .min_by_key(|place| (self.spans[*place].start, *place));
        if let Some(first) = first {
            self.parents[first] = None;
            keep_stated(&mut self.spans[first], Odd::Circle);
        }
    }
}

/// The stated parent, where it cannot be the parent.
fn keep_stated(span: &mut Raw, why: Odd) {
    span.flag(why);
    if let Some(parent) = &span.parent {
        let stated = parent.id.stated();
        span.attributes.set(attr::IMPORT_PARENT, stated);
    }
}

/// Where ids stand.
struct Places {
    /// The caller's span of an id, else its first.
    first: HashMap<SpanId, usize>,
    /// A server's span that has its client's id, by that and its service.
    halves: HashMap<(SpanId, SmolStr), usize>,
    /// All of these.
    is_half: HashSet<usize>,
}

impl Places {
    fn of(spans: &[Raw]) -> Places {
        let mut first: HashMap<SpanId, usize> = HashMap::with_capacity(spans.len());
        for (at, span) in spans.iter().enumerate() {
            let known = first.entry(span.id.id).or_insert(at);
            let server = spans[*known].kind == SpanKind::Server;
            if server && span.kind == SpanKind::Client {
                *known = at;
            }
        }
        let mut places = Places {
            first,
            halves: HashMap::new(),
            is_half: HashSet::new(),
        };
        for (at, span) in spans.iter().enumerate() {
            let caller = places.first[&span.id.id];
            if span.kind == SpanKind::Server && spans[caller].kind == SpanKind::Client {
                let service = span.resource.service.clone();
                places.halves.entry((span.id.id, service)).or_insert(at);
                places.is_half.insert(at);
            }
        }
        places
    }

    /// A server's half hangs on its client's; work of a server's service on the server's half.
    fn parent(&self, spans: &mut [Raw], at: usize) -> Option<usize> {
        let span = &spans[at];
        if self.is_half.contains(&at) {
            return self.first.get(&span.id.id).copied();
        }
        let id = span.parent.as_ref()?.id.id;
        let service = span.resource.service.clone();
        let found = self.halves.get(&(id, service)).or(self.first.get(&id));
        let Some(parent) = found.copied() else {
            keep_stated(&mut spans[at], Odd::NoParent);
            return None;
        };
        Some(parent)
    }
}

/// Gives those new ids that have another's.
fn rename(spans: &mut [Raw], places: &Places) {
    let mut taken: HashSet<SpanId> = places.first.keys().copied().collect();
    for (at, span) in spans.iter_mut().enumerate() {
        let old = span.id.id;
        if places.first[&old] == at {
            continue;
        }
        span.flag(match places.is_half.contains(&at) {
            true => Odd::SharedId,
            false => Odd::SameId,
        });
        span.attributes.set(attr::IMPORT_ID, span.id.stated());
        let ids = (1..).map(|n: u64| SpanId(hash(&[old.0, n].map(u64::to_le_bytes).concat(), 2)));
        let mut free = ids.filter(|id| !taken.contains(id));
        span.id.id = free.next().unwrap_or(old);
        taken.insert(span.id.id);
    }
}
