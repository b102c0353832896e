//! Which bar stands in which lane and row.

use tierscope_model::Span;

use super::block::{Bar, Block, Item, NEAR};
use super::scale::Scale;
use crate::duration::human;
use crate::gap;
use crate::label;
use crate::outline::Outline;
use crate::text::clip;

/// Longest name in a label, in columns.
const LONGEST: usize = 48;

/// What a lane stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LaneKind {
    /// One service's spans.
    Tier(String),
    /// Both directions between two services.
    Hop(String),
    /// Spans that hang on nothing.
    Orphans,
}

/// A lane with its bars.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) kind: LaneKind,
    block: Block,
}

impl Lane {
    pub(super) fn rows(&self) -> usize {
        self.block.rows()
    }

    pub(super) fn bars(&self) -> &[Bar] {
        &self.block.bars
    }
}

/// Lanes from the client down to the database, each hop's between its tiers, orphans last.
pub(super) fn lanes(outline: &Outline<'_>, scale: &Scale) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    let lane_of = (0..outline.spans.len())
        .map(|index| find(&mut lanes, kind(outline, index)))
        .collect();
    let plan = Plan {
        outline,
        scale,
        lane_of,
    };
    let tops = (0..outline.spans.len()).filter(|i| outline.parent[*i].is_none());
    for (lane, block) in tops.flat_map(|top| plan.blocks(top)) {
        lanes[lane].block.take(0, block);
    }
    lanes.sort_by_key(|lane| lane.kind == LaneKind::Orphans);
    lanes
}

fn kind(outline: &Outline<'_>, index: usize) -> LaneKind {
    let span = &outline.spans[index];
    let on_the_way = outline.hop_above(index).map(|above| &outline.spans[above]);
    match label::hop_name(on_the_way.unwrap_or(span)) {
        _ if outline.top(index) != 0 => LaneKind::Orphans,
        Some(hop) => LaneKind::Hop(hop),
        None => LaneKind::Tier(span.resource.service.to_string()),
    }
}

fn find(lanes: &mut Vec<Lane>, kind: LaneKind) -> usize {
    let found = lanes.iter().position(|lane| lane.kind == kind);
    found.unwrap_or_else(|| {
        let block = Block::default();
        lanes.push(Lane { kind, block });
        lanes.len() - 1
    })
}

struct Plan<'a> {
    outline: &'a Outline<'a>,
    scale: &'a Scale,
    lane_of: Vec<usize>,
}

impl Plan<'_> {
    /// The span's block, with what lies under it in its lane, and the blocks under it in other lanes.
    fn blocks(&self, index: usize) -> Vec<(usize, Block)> {
        let lane = self.lane_of[index];
        let mut own = self.bar(index);
        let mut others = Vec::new();
        let below = self.outline.children(index).iter();
        for (other, block) in below.flat_map(|child| self.blocks(*child)) {
            match other == lane {
                true => own.take(1, block),
                false => others.push((other, block)),
            }
        }
        for block in self.gaps(index).into_iter().chain(self.moments(index)) {
            own.take(1, block);
        }
        others.insert(0, (lane, own));
        others
    }

    fn bar(&self, index: usize) -> Block {
        let span = self.at(index);
        let x = (self.scale.x(span.start), self.scale.x(span.end));
        let offset = self.scale.offset(span.start);
        match self.is_only_exchange(index) {
            true => Block::new(Item::Strip(index), offset, x, String::new()),
            false => Block::new(Item::Span(index), offset, x, self.label(index)),
        }
    }

    /// A backend's events (each statement's transaction) would crowd the lane: they stand in its hover title.
    fn moments(&self, index: usize) -> impl Iterator<Item = Block> {
        let events = match self.outline.is_backend(index) {
            true => &[][..],
            false => &self.at(index).events,
        };
        events.iter().enumerate().map(move |(place, event)| {
            let (x, offset) = (self.scale.x(event.time), self.scale.offset(event.time));
            let item = Item::Moment(index, place);
            Block::new(
                item,
                offset,
                (x - NEAR, x + NEAR),
                label::event_label(event),
            )
        })
    }

    /// A proxy's own time is its work, not a gap.
    fn gaps(&self, index: usize) -> Vec<Block> {
        let (span, children) = (self.at(index), self.outline.children(index));
        if children.is_empty() || gap::is_own_work(span) || self.outline.proxied(index).is_some() {
            return Vec::new();
        }
        let parts = children
            .iter()
            .map(|i| (self.at(*i).start, self.at(*i).end));
        let gaps = gap::uncovered((span.start, span.end), parts);
        match gap::worth_showing(gap::total(&gaps), self.request()) {
            true => gaps.into_iter().map(|gap| self.gap(index, gap)).collect(),
            false => Vec::new(),
        }
    }

    fn gap(&self, index: usize, (start, end): gap::Stretch) -> Block {
        let length = end.since(start);
        let label = match gap::worth_showing(length, self.request()) {
            true => format!("unaccounted {}", human(length)),
            false => String::new(),
        };
        let x = (self.scale.x(start), self.scale.x(end));
        Block::new(Item::Gap(index, length), self.scale.offset(start), x, label)
    }

    /// Name and duration; none where it is too short to matter.
    fn label(&self, index: usize) -> String {
        let span = self.at(index);
        let error = label::error(span);
        let least = match label::direction(span) {
            Some(_) => self.request() / 100,
            None => self.request() / 300,
        };
        if error.is_none() && span.duration() < least {
            return String::new();
        }
        let above = self.outline.parent[index];
        let prefix = match label::direction(span) {
            Some("response") => "↑ ",
            Some(_) => "↓ ",
            None if above.and_then(|p| self.outline.proxied(p)) == Some(index) => "upstream ",
            None => "",
        };
        let name = clip(&label::work_label(span), LONGEST);
        let suffix = error.map(|e| format!(" · {e}")).unwrap_or_default();
        format!("{prefix}{name} {}{suffix}", human(span.duration()))
    }

    fn is_only_exchange(&self, index: usize) -> bool {
        let above = self.outline.parent[index];
        label::is_query_exchange(self.at(index))
            && label::error(self.at(index)).is_none()
            && above.is_some_and(|p| {
                self.outline.children(p).len() == 1 && self.lane_of[p] == self.lane_of[index]
            })
    }

    fn request(&self) -> u64 {
        self.outline.spans.first().map_or(0, Span::duration)
    }

    fn at(&self, index: usize) -> &Span {
        &self.outline.spans[index]
    }
}
