//! Draws the bars of a lane.

use tierscope_model::{Span, SpanKind, Timestamp};

use super::ROW;
use super::block::{Bar, Item, LABEL, NEAR, Side};
use super::hover;
use super::lane::{Lane, LaneKind};
use super::palette::{self, ERROR, GAP, INK, MUTED, QUEUE, SEND, TRANSFER};
use super::xml::{Attrs, Font, Xml, px};
use crate::duration::human;
use crate::label;
use crate::outline::Outline;
use crate::threads::describe;
use crate::tier::Tiers;

/// Height of a bar within its row.
const HEIGHT: f64 = 16.0;
/// Height of the line that shows what the span's thread did.
const THREAD: f64 = 3.0;
/// Slices of a thread's line that are narrower than this are not drawn one by one, in pixels.
const NARROW: f64 = 0.5;
/// Height of an exchange's strip at the foot of its query's bar.
const STRIP: f64 = 2.5;

/// Draws the lane's bars from `top` on, each a group with its hover title.
pub(super) fn draw(xml: &mut Xml, outline: &Outline<'_>, tiers: &Tiers<'_>, lane: &Lane, top: f64) {
    let orphan = lane.kind == LaneKind::Orphans;
    for bar in lane.bars() {
        let y = top + bar.row as f64 * ROW + (ROW - HEIGHT) / 2.0;
        xml.open("g", &[]);
        match bar.item {
            Item::Span(index) => span(xml, bar, &outline.spans[index], tiers, y, orphan),
            Item::Strip(index) => strip(xml, bar, &outline.spans[index], tiers, y),
            Item::Gap(index, length) => gap(xml, bar, &outline.spans[index], length, y),
            Item::Moment(index, place) => {
                let event = &outline.spans[index].events[place];
                xml.title(&hover::moment(event, bar.offset));
                diamond(xml, bar, y);
                label(xml, bar, y, INK, INK);
            }
        }
        xml.close("g");
    }
}

fn span(xml: &mut Xml, bar: &Bar, span: &Span, tiers: &Tiers<'_>, y: f64, orphan: bool) {
    let tier = tiers.index(&span.resource.service);
    let (fill, text) = match orphan {
        true => (palette::soft(tier), INK),
        false => colours(span, tier),
    };
    let failed = label::error(span).is_some();
    let outline: Attrs<'_> = match (failed, orphan) {
        (true, _) => &[("stroke", ERROR), ("stroke-width", "2")],
        (false, true) => &[("stroke", ERROR), ("stroke-dasharray", "4 2")],
        (false, false) if bar.x.1 - bar.x.0 > 4.0 => {
            &[("stroke", "#ffffff"), ("stroke-width", "0.6")]
        }
        (false, false) => &[],
    };
    xml.title(&hover::title(span, bar.offset));
    rect(xml, bar, (y, HEIGHT), fill, outline);
    threads(xml, bar, span, y + HEIGHT - THREAD);
    label(xml, bar, y, text, if failed { ERROR } else { INK });
}

/// What the span's thread did, to the scale of its bar.
fn threads(xml: &mut Xml, bar: &Bar, span: &Span, y: f64) {
    let scale = (bar.x.1 - bar.x.0) / span.duration().max(1) as f64;
    let x = |time: Timestamp| bar.x.0 + time.since(span.start) as f64 * scale;
    for slice in &span.slices {
        let (from, to) = (x(slice.start), x(slice.end).min(bar.x.1));
        if to - from < NARROW {
            continue;
        }
        xml.open("g", &[]);
        xml.title(&describe(slice));
        let fill = palette::doing(slice.doing);
        xml.rect((from, y, to - from, THREAD), &[("fill", fill)]);
        xml.close("g");
    }
}

fn strip(xml: &mut Xml, bar: &Bar, span: &Span, tiers: &Tiers<'_>, y: f64) {
    let fill = palette::soft(tiers.index(&span.resource.service));
    xml.title(&hover::title(span, bar.offset));
    rect(xml, bar, (y + HEIGHT - STRIP, STRIP), fill, &[]);
}

fn gap(xml: &mut Xml, bar: &Bar, parent: &Span, length: u64, y: f64) {
    let (length, parent) = (human(length), label::work_label(parent));
    let text = format!("unaccounted: {length} of {parent} that no part covers");
    let outline = [("stroke", "#94a3b8"), ("stroke-dasharray", "3 2")];
    xml.title(&text);
    rect(xml, bar, (y, HEIGHT), GAP, &outline);
    label(xml, bar, y, MUTED, MUTED);
}

/// Fill of the bar and colour of a text on it.
fn colours(span: &Span, tier: usize) -> (&'static str, &'static str) {
    match (label::direction(span), span.kind) {
        (Some(_), _) if label::is_queue(span) => (QUEUE, INK),
        (Some(_), _) if label::is_send(span) => (SEND, INK),
        (Some(_), _) => (TRANSFER, INK),
        (None, SpanKind::Internal) => (palette::soft(tier), INK),
        (None, _) => (palette::strong(tier), "#ffffff"),
    }
}

fn rect(xml: &mut Xml, bar: &Bar, (y, height): (f64, f64), fill: &str, more: Attrs<'_>) {
    let area = (bar.x.0, y, bar.x.1 - bar.x.0, height);
    let round = if bar.x.1 - bar.x.0 > 6.0 { "2" } else { "0" };
    xml.rect(area, &[&[("rx", round), ("fill", fill)][..], more].concat());
}

fn diamond(xml: &mut Xml, bar: &Bar, y: f64) {
    let (x, y) = ((bar.x.0 + bar.x.1) / 2.0, y + HEIGHT / 2.0);
    let [left, right, up, down] = [x - NEAR, x + NEAR, y - NEAR, y + NEAR].map(px);
    let (x, y) = (px(x), px(y));
    let path = format!("M{left} {y}L{x} {up}L{right} {y}L{x} {down}Z");
    xml.empty("path", &[("d", &path), ("fill", INK)]);
}

fn label(xml: &mut Xml, bar: &Bar, y: f64, inside: &'static str, beside: &'static str) {
    let (x, fill, anchor) = match bar.side {
        Side::Inside => (bar.x.0 + NEAR, inside, "start"),
        Side::Right => (bar.x.1 + NEAR, beside, "start"),
        Side::Left => (bar.x.0 - NEAR, beside, "end"),
        Side::Nowhere => return,
    };
    let font = Font::new(LABEL, fill).anchor(anchor);
    xml.text((x, y + HEIGHT - 4.0), font, &bar.label);
}
