//! A tree of intervals: all that the critical path needs to know of a trace.

use std::collections::HashMap;
use std::hash::Hash;

use tierscope_model::{Evidence, Link, Span, SpanKind, Timestamp, Trace, attr};

/// In a `send`: bytes waited for their receiver to read what had come before.
pub(crate) const RECEIVER_FULL: &str = "receive queue full";

/// One interval and the one that it hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<Id> {
    /// What it is called. Of several with one id, children hang on the first.
    pub id: Id,
    /// The id of its parent; none for a root. One that does not exist makes a root of it, too.
    pub parent: Option<Id>,
    /// Start.
    pub start: Timestamp,
    /// End; an end before the start counts as the start.
    pub end: Timestamp,
}

/// Intervals with their children, known by their place in the list that they came in.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub(crate) times: Vec<(Timestamp, Timestamp)>,
    parents: Vec<Option<usize>>,
    /// The children of node `n` are `children[first[n]..first[n + 1]]`.
    first: Vec<usize>,
    children: Vec<usize>,
}

impl Tree {
    /// Joins the nodes by their ids.
    pub fn new<Id: Copy + Eq + Hash>(nodes: impl IntoIterator<Item = Node<Id>>) -> Tree {
        let nodes: Vec<Node<Id>> = nodes.into_iter().collect();
        let mut places = HashMap::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            places.entry(node.id).or_insert(at);
        }
        let parent = |(at, node): (usize, &Node<Id>)| {
            let parent = places.get(&node.parent?).copied();
            parent.filter(|parent| *parent != at)
        };
        let parents = nodes.iter().enumerate().map(parent).collect();
        let times = nodes.iter().map(|n| (n.start, n.end.max(n.start)));
        Tree::joined(times.collect(), parents)
    }

    /// The spans of a trace; node `n` is `trace.spans[n]`. A span that only follows another hangs on
    /// nothing: nobody waited for it.
    pub fn of(trace: &Trace) -> Tree {
        let awaited = |link: &&Link| !matches!(link.evidence, Evidence::Follows(_));
        let node = |span: &Span| {
            let (start, end) = awaited_time(span);
            Node {
                id: span.span_id,
                parent: span
                    .parent
                    .as_ref()
                    .filter(awaited)
                    .map(|link| link.span_id),
                start,
                end,
            }
        };
        Tree::new(trace.spans.iter().map(node))
    }

    fn joined(times: Vec<(Timestamp, Timestamp)>, parents: Vec<Option<usize>>) -> Tree {
        let mut first = vec![0; times.len() + 1];
        for parent in parents.iter().flatten() {
            first[parent + 1] += 1;
        }
        for at in 1..first.len() {
            first[at] += first[at - 1];
        }
        let mut next = first.clone();
        let mut children = vec![0; first[times.len()]];
        for (at, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[next[*parent]] = at;
                next[*parent] += 1;
            }
        }
        Tree {
            times,
            parents,
            first,
            children,
        }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The nodes that hang on nothing, in their order.
    pub fn roots(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|at| self.parents[*at].is_none())
    }

    /// The node that `node` hangs on; none for a root and for a node that there is not.
    pub fn parent(&self, node: usize) -> Option<usize> {
        *self.parents.get(node)?
    }

    /// The nodes that hang on `node`, in their order; none where there is no such node.
    pub fn children(&self, node: usize) -> &[usize] {
        let bounds = self.first.get(node).zip(self.first.get(node + 1));
        bounds.map_or(&[], |(from, to)| &self.children[*from..*to])
    }
}

/// When a span's parent waited for it. An answer's server ends with its last byte's departure, while that is
/// being sent; once all is written the sending alone is waited for.
fn awaited_time(span: &Span) -> (Timestamp, Timestamp) {
    let unsent = span.attributes.int(attr::UNSENT_NS).unwrap_or(0);
    let written = Timestamp(span.end.0.saturating_sub(unsent.unsigned_abs())).max(span.start);
    match (unsent, span.kind) {
        (0, _) => (span.start, span.end),
        (_, SpanKind::Server) => (span.start, written),
        _ => (written, span.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u32, parent: Option<u32>) -> Node<u32> {
        Node {
            id,
            parent,
            start: Timestamp(0),
            end: Timestamp(1),
        }
    }

    #[test]
    fn shared_ids_orphans_and_self_parents_are_all_kept() {
        let nodes = [
            node(1, None),
            node(2, Some(1)),
            node(2, Some(1)),
            node(3, Some(2)),
            node(4, Some(9)),
            node(5, Some(5)),
        ];
        let tree = Tree::new(nodes);
        assert_eq!(tree.len(), 6);
        assert_eq!(tree.roots().collect::<Vec<_>>(), [0, 4, 5]);
        assert_eq!(tree.children(0), [1, 2]);
        assert_eq!(tree.children(1), [3], "the first of the two has the child");
        assert_eq!(tree.parent(3), Some(1));
        assert_eq!(tree.children(99), [0; 0]);
    }
}
