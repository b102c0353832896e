//! A trace as rows: equal siblings in one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use tierscope_model::{Nanos, Span, Timestamp, Trace};

use super::fingerprint::{fingerprint, way};
use crate::path::Overlap;
use crate::tree::Tree;

use super::Cell;

/// Deeper spans count to the row at this depth.
const DEEPEST: usize = 48;

/// A path from the root, by the fingerprints on it. Made anew in each run of the program.
pub(super) type Path = u64;
/// Stretches that a row is drawn by; of more than this many only the first start and the last end.
const STRETCHES: usize = 256;

/// The root's, whatever it is called.
const ROOT: Path = 0;
/// Above what hangs on nothing.
const APART: Path = 1;

/// Equal spans with the same ancestors.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) path: Path,
    /// Its last step: tells it from its siblings.
    pub(super) key: u64,
    /// Where the whole way of bytes stands that it is a part of.
    pub(super) way: Option<Path>,
    /// The first of them.
    pub(super) span: &'a Span,
    pub(super) cell: Cell,
    pub(super) children: Vec<Group<'a>>,
}

/// Groups of a trace: the root's, then those of what hangs on nothing.
pub(super) fn groups(trace: &Trace, overlap: Overlap) -> Vec<Group<'_>> {
    let tree = Tree::of(trace);
    let grouping = Grouping {
        trace,
        begin: trace.root().map_or(Timestamp::default(), |root| root.start),
        own: own_times(&tree, overlap),
        tree,
    };
    if trace.spans.is_empty() {
        return Vec::new();
    }
    let mut all = vec![grouping.group((ROOT, ROOT), &[0], 0)];
    let apart: Vec<usize> = grouping.tree.roots().filter(|at| *at > 0).collect();
    all.extend(grouping.level(&apart, APART, 0));
    all
}

/// Each node's own time on the critical path.
fn own_times(tree: &Tree, overlap: Overlap) -> Vec<Nanos> {
    let mut own = vec![0; tree.len()];
    for step in tree.critical_path(0, overlap).steps {
        own[step.node] += step.end.since(step.start);
    }
    own
}

struct Grouping<'a> {
    trace: &'a Trace,
    tree: Tree,
    begin: Timestamp,
    own: Vec<Nanos>,
}

impl<'a> Grouping<'a> {
    /// Siblings in groups, in the order of their first.
    fn level(&self, siblings: &[usize], above: Path, depth: usize) -> Vec<Group<'a>> {
        let mut place: HashMap<u64, usize> = HashMap::new();
        let mut members: Vec<(u64, Vec<usize>)> = Vec::new();
        for at in siblings.iter().copied() {
            let key = hash(fingerprint(&self.trace.spans[at]));
            let group = *place.entry(key).or_insert_with(|| {
                members.push((key, Vec::new()));
                members.len() - 1
            });
            members[group].1.push(at);
        }
        let groups = members.into_iter();
        groups
            .map(|(key, spans)| Group {
                way: way(&self.trace.spans[spans[0]]).map(|way| hash((above, way))),
                ..self.group((hash((above, key)), key), &spans, depth)
            })
            .collect()
    }

    fn group(&self, (path, key): (Path, u64), spans: &[usize], depth: usize) -> Group<'a> {
        let mut cell = self.cell(spans);
        let mut children: Vec<usize> = spans.iter().flat_map(|at| self.children(*at)).collect();
        children.sort_by_key(|child| (self.trace.spans[*child].start, *child));
        let children = if depth < DEEPEST {
            self.level(&children, path, depth + 1)
        } else {
            cell.critical_ns += self.under(children);
            Vec::new()
        };
        Group {
            path,
            key,
            way: None,
            span: &self.trace.spans[spans[0]],
            cell,
            children,
        }
    }

    fn cell(&self, spans: &[usize]) -> Cell {
        let all = || spans.iter().map(|at| &self.trace.spans[*at]);
        let offset = |time: Timestamp| time.since(self.begin);
        let mut stretches: Vec<(Nanos, Nanos)> = all()
            .map(|span| (offset(span.start), offset(span.end)))
            .collect();
        if stretches.len() > STRETCHES {
            let from = stretches.iter().map(|(from, _)| *from).min();
            let to = stretches.iter().map(|(_, to)| *to).max();
            stretches = from.zip(to).into_iter().collect();
        }
        Cell {
            count: spans.len() as u64,
            duration_ns: all().map(Span::duration).fold(0, Nanos::saturating_add),
            critical_ns: spans.iter().map(|at| self.own[*at]).sum(),
            stretches,
        }
    }

    /// Children that stand behind their parent, as in every trace of ours: a ring of parents ends.
    fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let children = self.tree.children(at).iter().copied();
        children.filter(move |child| *child > at)
    }

    /// The critical time of nodes and of all under them.
    fn under(&self, mut open: Vec<usize>) -> Nanos {
        let mut sum = 0;
        while let Some(at) = open.pop() {
            sum += self.own[at];
            open.extend(self.children(at));
        }
        sum
    }
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
