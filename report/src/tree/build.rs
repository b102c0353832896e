//! From spans to lines: joins the parts of a hop, opens what has only one thing in it, finds gaps.

use tierscope_model::{Nanos, Span, SpanKind};

use super::fold;
use super::node::{Look, Node, Segment};
use crate::duration::human;
use crate::gap::{self, Stretch};
use crate::label;
use crate::outline::Outline;
use crate::text::visible_clip;
use crate::threads;
use crate::tier::Tiers;

/// Makes the lines of one trace.
pub(super) struct Builder<'a> {
    outline: &'a Outline<'a>,
    tiers: &'a Tiers<'a>,
    request: Nanos,
}

impl<'a> Builder<'a> {
    pub(super) fn new(outline: &'a Outline<'a>, tiers: &'a Tiers<'a>) -> Builder<'a> {
        let request = outline.spans.first().map_or(0, Span::duration);
        Builder {
            outline,
            tiers,
            request,
        }
    }

    /// The lines of the request: under the client's span, or from the server's on where no client was traced.
    pub(super) fn tree(&self) -> Vec<Node> {
        if self.at(0).kind != SpanKind::Server {
            return self.parts(0);
        }
        let mut nodes = Vec::new();
        self.push(&mut nodes, 0);
        nodes
    }

    /// The lines under a span, in order of time, equal ones folded.
    pub(super) fn parts(&self, index: usize) -> Vec<Node> {
        let mut nodes = Vec::new();
        for child in self.opened(index) {
            self.push(&mut nodes, *child);
        }
        if !nodes.is_empty() && !gap::is_own_work(self.at(index)) {
            nodes.extend(self.gap(index, &nodes));
        }
        nodes.extend(self.moments(index));
        nodes.sort_by_key(|node| (node.label == UNACCOUNTED, node.start()));
        fold::fold(nodes)
    }

    /// The lines of spans that hang on nothing.
    pub(super) fn orphans(&self) -> Vec<Node> {
        let orphans = self.outline.orphans();
        orphans.into_iter().map(|i| self.span(i)).collect()
    }

    /// The children; of a query with a single exchange, that exchange's children.
    fn opened(&self, index: usize) -> &'a [usize] {
        match self.outline.children(index) {
            [only] if label::is_query_exchange(self.at(*only)) => self.outline.children(*only),
            children => children,
        }
    }

    fn push(&self, nodes: &mut Vec<Node>, index: usize) {
        let span = self.at(index);
        if let Some(hop) = label::hop(span) {
            return push_hop(nodes, self.hop_part(index, &hop));
        }
        match self.outline.proxied(index) {
            Some(upstream) => {
                nodes.push(self.proxy(index, upstream));
                nodes.extend(self.parts(upstream));
            }
            None => nodes.push(self.span(index)),
        }
    }

    fn span(&self, index: usize) -> Node {
        let span = self.at(index);
        let mut node = self.bare(span);
        if self.outline.is_backend(index) {
            node.notes.extend(self.phases(index));
        } else {
            node.children = self.parts(index);
        }
        node.notes.extend(self.threads(span));
        node
    }

    /// A proxy's own time: what its upstream exchange does not cover.
    fn proxy(&self, index: usize, upstream: usize) -> Node {
        let (span, exchange) = (self.at(index), self.at(upstream));
        let mut node = self.bare(span);
        let inner = (exchange.start, exchange.end);
        let own = gap::uncovered((span.start, span.end), [inner].into_iter());
        node.duration = Some(gap::total(&own));
        node.segments = segments(&own, Look::Work);
        node.failed |= label::error(exchange).is_some();
        node.notes.extend(label::notes(exchange));
        let phases = self.outline.children(index).iter();
        node.notes.extend(
            phases
                .filter(|phase| **phase != upstream)
                .filter(|phase| self.is_worth_showing(self.at(**phase)))
                .map(|phase| self.phase(*phase)),
        );
        node.notes.extend(self.threads(span));
        node
    }

    /// What the span's threads did, as far as it matters to the request.
    fn threads(&self, span: &Span) -> Vec<String> {
        threads::summary(&span.slices, self.request / 50)
    }

    fn is_worth_showing(&self, span: &Span) -> bool {
        gap::worth_showing(span.duration(), self.request)
    }

    /// A span's line without what lies under it.
    fn bare(&self, span: &Span) -> Node {
        let tier = Some(self.tiers.index(&span.resource.service));
        let time = (span.start, span.end);
        let mut node = Node::new(label::span_label(span), tier, time, Look::Work);
        node.failed = label::error(span).is_some();
        node.notes = label::notes(span);
        node
    }

    /// `plan 0.4 ms · execute 14.2 ms (lock wait 11.0 ms)`.
    fn phases(&self, index: usize) -> Vec<String> {
        let children = self.outline.children(index);
        let mut phases: Vec<String> = children.iter().map(|i| self.phase(*i)).collect();
        let covered = children
            .iter()
            .map(|i| (self.at(*i).start, self.at(*i).end));
        let span = self.at(index);
        let rest = gap::total(&gap::uncovered((span.start, span.end), covered));
        if !phases.is_empty() && gap::worth_showing(rest, self.request) {
            phases.push(format!("{UNACCOUNTED} {}", human(rest)));
        }
        phases
    }

    fn phase(&self, index: usize) -> String {
        let span = self.at(index);
        let name = visible_clip(&span.name, 40);
        let mut inner = label::notes(span);
        let children = self.outline.children(index);
        inner.extend(children.iter().map(|i| self.phase(*i)));
        let duration = human(span.duration());
        match inner.is_empty() {
            true => format!("{name} {duration}"),
            false => format!("{name} {duration} ({})", inner.join(", ")),
        }
    }

    /// A part of a hop, with what held it up.
    fn hop_part(&self, index: usize, hop: &str) -> Node {
        let span = self.at(index);
        let look = match () {
            () if label::is_queue(span) => Look::Queue,
            () if label::is_send(span) => Look::Send,
            () => Look::Transfer,
        };
        let mut part = Node::new(format!("network {hop}"), None, (span.start, span.end), look);
        part.failed = label::error(span).is_some();
        let shown = look == Look::Queue || self.is_worth_showing(span);
        if span.duration() > 0 && shown && span.name != TRANSFER {
            let name = visible_clip(&span.name, 40);
            part.notes
                .push(format!("{name} {}", human(span.duration())));
        }
        part.notes.extend(label::notes(span));
        let below = self.outline.children(index).iter();
        part.notes.extend(below.map(|child| self.phase(*child)));
        part.notes.extend(self.threads(span));
        part
    }

    /// Time of the span that no line covers, if it is worth a line.
    fn gap(&self, index: usize, nodes: &[Node]) -> Option<Node> {
        let span = self.at(index);
        let whole = (span.start, span.end);
        let covered = nodes.iter().flat_map(|n| &n.segments).map(|s| s.time);
        let gaps = gap::uncovered(whole, covered);
        let total = gap::total(&gaps);
        gap::worth_showing(total, self.request).then(|| {
            let tier = Some(self.tiers.index(&span.resource.service));
            let mut node = Node::new(UNACCOUNTED.to_owned(), tier, whole, Look::Gap);
            node.duration = Some(total);
            node.segments = segments(&gaps, Look::Gap);
            node
        })
    }

    fn moments(&self, index: usize) -> impl Iterator<Item = Node> {
        let span = self.at(index);
        let tier = Some(self.tiers.index(&span.resource.service));
        span.events.iter().map(move |event| {
            let time = (event.time, event.time);
            let mut node = Node::new(label::event_label(event), tier, time, Look::Moment);
            node.duration = None;
            node
        })
    }

    fn at(&self, index: usize) -> &'a Span {
        &self.outline.spans[index]
    }
}

const UNACCOUNTED: &str = "unaccounted";
/// Send and wire in one, where it is not known when the bytes left.
const TRANSFER: &str = "transfer";

fn segments(stretches: &[Stretch], look: Look) -> Vec<Segment> {
    let segment = |time: &Stretch| Segment { time: *time, look };
    stretches.iter().map(segment).collect()
}

/// Adds a hop's part to the line of that hop, or begins that line.
fn push_hop(nodes: &mut Vec<Node>, mut part: Node) {
    match nodes
        .iter_mut()
        .find(|n| n.tier.is_none() && n.label == part.label)
    {
        Some(line) => {
            line.duration = Some(line.duration.unwrap_or(0) + part.duration.unwrap_or(0));
            line.segments.append(&mut part.segments);
            line.notes.append(&mut part.notes);
            line.failed |= part.failed;
        }
        None => nodes.push(part),
    }
}
