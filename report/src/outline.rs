//! Who is whose child, by index, for a trace from any source.

use std::collections::HashMap;

use tierscope_model::{Span, SpanId, SpanKind, Timestamp, Trace};

use crate::label;

/// Deeper nesting than this is drawn at this depth.
const MAX_DEPTH: usize = 40;

/// Parents and children by index into `trace.spans`.
///
/// A parent stands before its children, so a parent link that points forward, to itself or to
/// nothing counts as none. That keeps a damaged file from making a cycle.
pub(crate) struct Outline<'a> {
    pub(crate) spans: &'a [Span],
    pub(crate) parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
}

impl<'a> Outline<'a> {
    pub(crate) fn new(trace: &'a Trace) -> Outline<'a> {
        let spans = &trace.spans;
        let mut seen: HashMap<SpanId, usize> = HashMap::with_capacity(spans.len());
        let mut depth = vec![0usize; spans.len()];
        let mut parent: Vec<Option<usize>> = vec![None; spans.len()];
        let mut children = vec![Vec::new(); spans.len()];
        for (index, span) in spans.iter().enumerate() {
            let mut above = span.parent_id().and_then(|id| seen.get(&id).copied());
            if let Some(deep) = above.filter(|p| depth[*p] >= MAX_DEPTH) {
                above = parent[deep];
            }
            if let Some(above) = above {
                depth[index] = depth[above] + 1;
                children[above].push(index);
            }
            parent[index] = above;
            seen.entry(span.span_id).or_insert(index);
        }
        Outline {
            spans,
            parent,
            children,
        }
    }

    /// Children in the order of the trace: by start.
    pub(crate) fn children(&self, index: usize) -> &[usize] {
        &self.children[index]
    }

    /// Whether the span is the database's side of an exchange.
    pub(crate) fn is_backend(&self, index: usize) -> bool {
        let above = self.parent[index].map(|p| &self.spans[p]);
        self.spans[index].kind == SpanKind::Server && above.is_some_and(label::is_exchange)
    }

    /// The span at the top of this one's tree: 0, the root, unless it belongs to an orphan.
    pub(crate) fn top(&self, mut index: usize) -> usize {
        while let Some(parent) = self.parent[index] {
            index = parent;
        }
        index
    }

    /// The one upstream exchange of a proxy: of a server span that calls nothing else. What else it has
    /// are its own phases.
    pub(crate) fn proxied(&self, index: usize) -> Option<usize> {
        let server = &self.spans[index];
        let calls = |child: &&usize| self.spans[**child].kind != SpanKind::Internal;
        let mut calls = self.children(index).iter().filter(calls);
        let (only, more) = (*calls.next()?, calls.next());
        let upstream = &self.spans[only];
        let proxy = server.kind == SpanKind::Server
            && more.is_none()
            && upstream.kind == SpanKind::Client
            && upstream.resource.service == server.resource.service
            && !label::is_exchange(upstream);
        proxy.then_some(only)
    }

    /// Whether the span hangs on a part of a hop: it happened on the way.
    pub(crate) fn hop_above(&self, index: usize) -> Option<usize> {
        self.parent[index].filter(|above| label::direction(&self.spans[*above]).is_some())
    }

    /// Spans that hang on nothing, the root excepted.
    pub(crate) fn orphans(&self) -> Vec<usize> {
        (1..self.spans.len())
            .filter(|i| self.parent[*i].is_none())
            .collect()
    }

    /// First start and last end of all spans, so that what outlives the root is drawn too.
    pub(crate) fn range(&self) -> (Timestamp, Timestamp) {
        let start = self.spans.iter().map(|s| s.start).min().unwrap_or_default();
        let end = self.spans.iter().map(|s| s.end).max().unwrap_or_default();
        (start, end.max(start))
    }
}
