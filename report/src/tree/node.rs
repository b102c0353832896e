//! One line of the tree, before it is laid out.

use tierscope_model::{Nanos, Timestamp};

use crate::gap::Stretch;

/// What a stretch of a bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Work,
    Send,
    Transfer,
    Queue,
    Gap,
    Moment,
}

/// A stretch of a bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) time: Stretch,
    pub(super) look: Look,
}

/// A line and the lines under it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) label: String,
    /// None for a point in time.
    pub(super) duration: Option<Nanos>,
    pub(super) segments: Vec<Segment>,
    pub(super) notes: Vec<String>,
    pub(super) failed: bool,
    /// None for what lies between two tiers.
    pub(super) tier: Option<usize>,
    pub(super) slowest: bool,
    pub(super) children: Vec<Node>,
}

impl Node {
    pub(super) fn new(label: String, tier: Option<usize>, time: Stretch, look: Look) -> Node {
        Node {
            label,
            duration: Some(time.1.since(time.0)),
            segments: vec![Segment { time, look }],
            notes: Vec::new(),
            failed: false,
            tier,
            slowest: false,
            children: Vec::new(),
        }
    }

    pub(super) fn start(&self) -> Timestamp {
        self.segments
            .first()
            .map_or(Timestamp::default(), |s| s.time.0)
    }

    /// Whether it is one span's own work, which may fold with its equals.
    pub(super) fn is_work(&self) -> bool {
        self.segments.iter().all(|s| s.look == Look::Work)
    }
}

/// Marks, level by level, the longest node.
pub(super) fn mark_slowest(nodes: &mut [Node]) {
    if let Some(longest) = nodes.iter_mut().max_by_key(|n| n.duration) {
        longest.slowest = true;
        mark_slowest(&mut longest.children);
    }
}
