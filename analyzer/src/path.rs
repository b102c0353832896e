//! The critical path: the walk along the child that finished last.
//!
//! From a span's end backwards: the child that finished last is what the span waited for; before that
//! child began, the one that finished last before it; what no child covers is the span's own. Children
//! are clipped to their parent, and one that ends exactly where the other begins came before it.

use tierscope_model::{Nanos, Timestamp};

use crate::tree::Tree;

/// How siblings are taken that overlap a little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// Siblings that overlap ran side by side: one clock measured them all.
    #[default]
    Parallel,
    /// Siblings that overlap by under 1 % of their parent ran one after the other: clocks may be skewed.
    /// The earlier one, with all under it, is moved back so that it ends where the later one begins.
    UnderOnePercent,
}

/// A stretch of the critical path, and the node whose own time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its place in the tree.
    pub node: usize,
    /// Start.
    pub start: Timestamp,
    /// End, after `start`.
    pub end: Timestamp,
}

/// The critical path of one root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// Its steps in order of time: they tile the root, so their lengths sum to its duration exactly.
    pub steps: Vec<Step>,
    /// Nodes that were moved because they overlapped the sibling after them ([`Overlap::UnderOnePercent`]).
    /// Their steps, and those of nodes under them, lie where they were moved to.
    pub overlapping: Vec<usize>,
}

impl CriticalPath {
    /// Length in nanoseconds: the root's duration.
    pub fn duration(&self) -> Nanos {
        self.steps.iter().map(|s| s.end.since(s.start)).sum()
    }
}

/// The part of a node that lies in its parent.
type Within = (Timestamp, Timestamp);

/// A node whose children are being walked, from `cursor` back to `start`.
struct Open {
    node: usize,
    start: Timestamp,
    cursor: Timestamp,
    /// By how much it was moved back.
    moved: Nanos,
    /// Overlap that is still one after the other, in nanoseconds; under this.
    allowed: Nanos,
    /// Children that are left, in order of their clipped end: the last is the next.
    left: Vec<(Timestamp, std::cmp::Reverse<Timestamp>, usize)>,
}

impl Tree {
    /// The critical path of `root`; empty where there is no such node or it takes no time.
    pub fn critical_path(&self, root: usize, overlap: Overlap) -> CriticalPath {
        let mut path = CriticalPath::default();
        let Some((start, end)) = self.times.get(root).copied() else {
            return path;
        };
        // Parents may form a ring in traces made by others: no node is entered twice.
        let mut entered = vec![false; self.len()];
        entered[root] = true;
        let mut open = vec![self.open(root, (start, end), 0, overlap)];
        while let Some(top) = open.last_mut() {
            match top.next(&mut path, &entered) {
                Some((node, within, moved)) => {
                    entered[node] = true;
                    open.push(self.open(node, within, moved, overlap));
                }
                None => {
                    top.own(&mut path, top.start);
                    open.pop();
                }
            }
        }
        path.steps.reverse();
        path
    }

    fn open(&self, node: usize, within: Within, moved: Nanos, overlap: Overlap) -> Open {
        let (start, end) = within;
        let clipped = |child: &usize| {
            let (from, to) = self.times[*child];
            let (from, to) = (from.max(start), to.min(end));
            (from < to).then_some((to, std::cmp::Reverse(from), *child))
        };
        let mut left: Vec<_> = self.children(node).iter().filter_map(clipped).collect();
        left.sort_unstable();
        let whole = self.times[node].1.since(self.times[node].0);
        Open {
            node,
            start,
            cursor: end,
            moved,
            allowed: match overlap {
                Overlap::Parallel => 0,
                Overlap::UnderOnePercent => whole.div_ceil(100),
            },
            left,
        }
    }
}

impl Open {
    /// The child that finished last before the cursor, with its time and by how much it is moved; what is
    /// between is the node's own.
    fn next(
        &mut self,
        path: &mut CriticalPath,
        entered: &[bool],
    ) -> Option<(usize, Within, Nanos)> {
        while let Some((end, std::cmp::Reverse(start), child)) = self.left.pop() {
            let over = end.since(self.cursor);
            let follows = over == 0 || over < self.allowed && start.max(self.start) < self.cursor;
            if !follows || entered[child] {
                continue;
            }
            if over > 0 {
                path.overlapping.push(child);
            }
            self.own(path, end - over);
            // What was moved beyond its parent's start is cut.
            let start = start.max(self.start + over);
            self.cursor = start - over;
            return Some((child, (start, end), self.moved + over));
        }
        None
    }

    /// The time from `from` to the cursor is the node's own.
    fn own(&mut self, path: &mut CriticalPath, from: Timestamp) {
        if from < self.cursor {
            path.steps.push(Step {
                node: self.node,
                start: from - self.moved,
                end: self.cursor - self.moved,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::Node;

    /// Nodes by (parent, start, end); the id is the place.
    fn tree(nodes: &[(Option<usize>, u64, u64)]) -> Tree {
        let nodes = nodes.iter().enumerate();
        Tree::new(nodes.map(|(id, (parent, start, end))| Node {
            id,
            parent: *parent,
            start: Timestamp(*start),
            end: Timestamp(*end),
        }))
    }

    fn steps(tree: &Tree, overlap: Overlap) -> Vec<(usize, u64, u64)> {
        let path = tree.critical_path(0, overlap);
        let steps = path.steps.iter();
        steps.map(|s| (s.node, s.start.0, s.end.0)).collect()
    }

    #[test]
    fn what_finished_last_was_waited_for() {
        let tree = tree(&[
            (None, 0, 100),
            (Some(0), 10, 40),
            (Some(0), 20, 60),
            (Some(0), 60, 90),
            (Some(2), 30, 50),
        ]);
        let wanted = [
            (0, 0, 20),
            (2, 20, 30),
            (4, 30, 50),
            (2, 50, 60),
            (3, 60, 90),
            (0, 90, 100),
        ];
        assert_eq!(steps(&tree, Overlap::Parallel), wanted);
    }

    #[test]
    fn children_count_as_far_as_they_lie_in_their_parent() {
        let tree = tree(&[
            (None, 10, 20),
            (Some(0), 0, 12),
            (Some(0), 18, 99),
            (Some(0), 30, 40),
        ]);
        let wanted = [(1, 10, 12), (0, 12, 18), (2, 18, 20)];
        assert_eq!(steps(&tree, Overlap::Parallel), wanted);
    }

    #[test]
    fn a_small_overlap_is_skew_where_clocks_may_be_skewed() {
        let tree = tree(&[(None, 0, 1000), (Some(0), 0, 504), (Some(0), 500, 1000)]);
        assert_eq!(
            steps(&tree, Overlap::Parallel),
            [(0, 0, 500), (2, 500, 1000)]
        );
        let path = tree.critical_path(0, Overlap::UnderOnePercent);
        assert_eq!(path.overlapping, [1]);
        let wanted = [(1, 0, 500), (2, 500, 1000)];
        assert_eq!(steps(&tree, Overlap::UnderOnePercent), wanted);
    }

    #[test]
    fn what_overlaps_a_little_is_moved_with_all_under_it() {
        let tree = tree(&[
            (None, 0, 1000),
            (Some(0), 10, 210),
            (Some(0), 209, 309),
            (Some(0), 308, 608),
            (Some(1), 20, 30),
        ]);
        let wanted = [
            (0, 0, 8),
            (1, 8, 18),
            (4, 18, 28),
            (1, 28, 208),
            (2, 208, 308),
            (3, 308, 608),
            (0, 608, 1000),
        ];
        assert_eq!(steps(&tree, Overlap::UnderOnePercent), wanted);
    }

    #[test]
    fn a_ring_of_parents_ends() {
        let tree = tree(&[(Some(1), 0, 10), (Some(0), 0, 10)]);
        assert_eq!(steps(&tree, Overlap::Parallel), [(1, 0, 10)]);
    }

    proptest! {
        #[test]
        fn steps_tile_the_root(
            nodes in prop::collection::vec((0..40usize, 0..200u64, 0..200u64), 1..40),
            skewed: bool,
        ) {
            let nodes: Vec<_> = nodes.iter().enumerate().map(|(at, (parent, start, length))| {
                ((at > 0).then_some(*parent), *start, start + length)
            }).collect();
            let overlap = if skewed { Overlap::UnderOnePercent } else { Overlap::Parallel };
            let path = tree(&nodes).critical_path(0, overlap);
            let mut at = nodes[0].1;
            for step in &path.steps {
                prop_assert_eq!(step.start.0, at);
                prop_assert!(step.end > step.start);
                let (_, start, end) = nodes[step.node];
                let length = step.end.since(step.start);
                prop_assert!(length <= end - start);
                prop_assert!(skewed || start <= step.start.0 && step.end.0 <= end);
                at = step.end.0;
            }
            prop_assert_eq!(at, nodes[0].2);
            prop_assert_eq!(path.duration(), nodes[0].2 - nodes[0].1);
        }
    }
}
