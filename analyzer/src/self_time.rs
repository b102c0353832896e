//! The time of a node that none of its children covers.

use tierscope_model::Nanos;

use crate::tree::Tree;

impl Tree {
    /// The node's length less the union of its children, clipped to it; 0 where there is no such node.
    pub fn self_time(&self, node: usize) -> Nanos {
        let Some((start, end)) = self.times.get(node).copied() else {
            return 0;
        };
        let children = self.children(node).iter().map(|child| self.times[*child]);
        let mut children: Vec<_> = children.collect();
        children.sort_unstable();
        let (mut own, mut covered) = (0, start);
        for (from, to) in children {
            own += from.min(end).since(covered);
            covered = covered.max(to);
        }
        own + end.since(covered)
    }
}

#[cfg(test)]
mod tests {
    use tierscope_model::Timestamp;

    use crate::{Node, Tree};

    #[test]
    fn overlaps_count_once_and_what_lies_outside_not_at_all() {
        let node = |(id, start, end): (u32, u64, u64)| Node {
            id,
            parent: (id > 0).then_some(0),
            start: Timestamp(start),
            end: Timestamp(end),
        };
        let all = [
            (0, 100, 200),
            (1, 90, 110),
            (2, 120, 140),
            (3, 130, 150),
            (4, 190, 300),
            (5, 400, 500),
        ];
        let tree = Tree::new(all.map(node));
        assert_eq!(tree.self_time(0), 10 + 40);
        assert_eq!(tree.self_time(1), 20);
        assert_eq!(tree.self_time(9), 0);
    }
}
