//! A trace as the page's script reads it: compact JSON, all texts safe to draw.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;
use tierscope_model::{Nanos, Span, SpanKind, Timestamp, Trace};

use crate::gap;
use crate::label;
use crate::outline::Outline;
use crate::text::visible_clip;
use crate::threads;
use crate::tier::Tiers;

/// Most spans that are drawn, and most slices of one span's thread: the longest.
const SPANS: usize = 2_000;
const SLICES: usize = 300;
/// Longest text, in columns.
const LONGEST: usize = 300;

/// Times are nanoseconds from the first span's start. What many spans say stands once in `texts`.
#[derive(Serialize)]
struct Data {
    endpoint: String,
    length: Nanos,
    request: Nanos,
    tiers: Vec<String>,
    left_out: usize,
    spans: Vec<SpanData>,
    texts: Vec<String>,
}

#[derive(Serialize)]
struct SpanData {
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<usize>,
    name: String,
    /// Class of the bar, and the tier's number.
    look: &'static str,
    tier: usize,
    start: Nanos,
    length: Nanos,
    process: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<(&'static str, Text)>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<(Text, Text)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<(Nanos, String)>,
    /// Start, length, what the thread did, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slices: Vec<(Nanos, Nanos, u8, Text)>,
    /// Time that no part covers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<(Nanos, Nanos)>,
}

/// The JSON, safe to stand in a `script` element.
pub(super) fn json(trace: &Trace) -> String {
    let (outline, tiers) = (Outline::new(trace), Tiers::of(trace));
    let (from, to) = outline.range();
    let mut maker = Maker {
        outline: &outline,
        tiers: &tiers,
        from: from.0,
        texts: Texts::default(),
    };
    let data = Data {
        endpoint: visible_clip(&trace.endpoint, LONGEST),
        length: to.since(from),
        request: trace.duration(),
        tiers: tiers.names().iter().map(|t| visible_clip(t, 60)).collect(),
        left_out: trace.spans.len().saturating_sub(SPANS),
        spans: (0..trace.spans.len().min(SPANS))
            .map(|i| maker.span(i))
            .collect(),
        texts: maker.texts.all,
    };
    escape(&serde_json::to_string(&data).unwrap_or_default())
}

/// JSON in which nothing can end a `script` element: `<` stands in its strings only.
fn escape(json: &str) -> String {
    json.replace('<', "\\u003c")
}

struct Maker<'a> {
    outline: &'a Outline<'a>,
    tiers: &'a Tiers<'a>,
    from: Nanos,
    texts: Texts,
}

/// A text's place in the list of texts.
type Text = usize;

/// Texts, each once.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    places: HashMap<String, Text>,
}

impl Texts {
    fn place(&mut self, text: String) -> Text {
        let next = self.all.len();
        match self.places.entry(text) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(fresh) => {
                self.all.push(fresh.key().clone());
                *fresh.insert(next)
            }
        }
    }

    fn clipped(&mut self, text: &str) -> Text {
        self.place(visible_clip(text, LONGEST))
    }
}

impl Maker<'_> {
    fn span(&mut self, index: usize) -> SpanData {
        let outline = self.outline;
        let span = &outline.spans[index];
        SpanData {
            parent: self.outline.parent[index],
            name: self.name(index),
            look: look(span),
            tier: self.tiers.index(&span.resource.service),
            start: span.start.0 - self.from,
            length: span.duration(),
            process: self.texts.place(process(span)),
            evidence: span.parent.as_ref().map(|link| {
                let evidence = &link.evidence;
                (evidence.kind(), self.texts.clipped(evidence.id()))
            }),
            failed: label::error(span).is_some(),
            notes: notes(span),
            attributes: self.attributes(span),
            events: self.events(span),
            slices: self.slices(span),
            gaps: self.gaps(index),
        }
    }

    fn name(&self, index: usize) -> String {
        let span = &self.outline.spans[index];
        let above = self.outline.parent[index];
        let upstream = above.and_then(|above| self.outline.proxied(above)) == Some(index);
        match (label::direction(span), label::hop(span)) {
            (Some(_), Some(hop)) => format!("{} {hop}", visible_clip(&span.name, 40)),
            _ if upstream => format!("upstream {}", label::work_label(span)),
            _ if span.kind == SpanKind::Server => {
                format!("{}: {}", label::span_label(span), label::work_label(span))
            }
            _ => label::work_label(span),
        }
    }

    fn events(&self, span: &Span) -> Vec<(Nanos, String)> {
        let at = |time: Timestamp| time.0.saturating_sub(self.from);
        let events = span.events.iter();
        events
            .map(|event| (at(event.time), label::event_label(event)))
            .collect()
    }

    fn attributes(&mut self, span: &Span) -> Vec<(Text, Text)> {
        let pairs = span.attributes.iter();
        pairs
            .map(|(key, value)| {
                let value = value.to_string();
                (self.texts.clipped(key), self.texts.clipped(&value))
            })
            .collect()
    }

    fn slices(&mut self, span: &Span) -> Vec<(Nanos, Nanos, u8, Text)> {
        let mut longest: Vec<_> = span.slices.iter().collect();
        longest.sort_by_key(|slice| std::cmp::Reverse(slice.duration()));
        longest.truncate(SLICES);
        longest.sort_by_key(|slice| slice.start);
        let told = longest.into_iter().map(|slice| {
            let start = slice.start.0.saturating_sub(self.from);
            let text = self.texts.place(threads::circumstances(slice));
            (start, slice.duration(), slice.doing as u8, text)
        });
        told.collect()
    }

    fn gaps(&self, index: usize) -> Vec<(Nanos, Nanos)> {
        let (span, below) = (&self.outline.spans[index], self.outline.children(index));
        if below.is_empty() || gap::is_own_work(span) || self.outline.proxied(index).is_some() {
            return Vec::new();
        }
        let at = |i: &usize| (self.outline.spans[*i].start, self.outline.spans[*i].end);
        let gaps = gap::uncovered((span.start, span.end), below.iter().map(at));
        let request = self.outline.spans.first().map_or(0, Span::duration);
        match gap::worth_showing(gap::total(&gaps), request) {
            true => gaps
                .iter()
                .map(|(a, b)| (a.0 - self.from, b.since(*a)))
                .collect(),
            false => Vec::new(),
        }
    }
}

/// The class of a span's bar.
fn look(span: &Span) -> &'static str {
    match (label::direction(span), span.kind) {
        (Some(_), _) if label::is_queue(span) => "queue",
        (Some(_), _) if label::is_send(span) => "send",
        (Some(_), _) => "wire",
        (None, SpanKind::Internal) => "soft",
        (None, _) => "strong",
    }
}

fn process(span: &Span) -> String {
    let resource = &span.resource;
    let kind = match span.kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Internal => "internal",
    };
    let [service, process, host] =
        [&resource.service, &resource.process, &resource.host].map(|t| visible_clip(t, 60));
    format!(
        "{service} · {kind} · {process} [{}] on {host}",
        resource.pid
    )
}

fn notes(span: &Span) -> Vec<String> {
    let mut notes = label::notes(span);
    notes.extend(threads::summary(&span.slices, 0));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_the_script_it_stands_in_and_each_stands_once() {
        let mut texts = Texts::default();
        let hostile = texts.clipped("</script><!--\u{2028}");
        assert_eq!(texts.clipped("</script><!--\u{2028}"), hostile);
        let json = escape(&serde_json::to_string(&texts.all).expect("JSON"));
        assert!(!json.contains('<') && !json.contains('\u{2028}'), "{json}");
        let back: Vec<String> = serde_json::from_str(&json).expect("still JSON");
        assert_eq!(back, ["</script><!--\\u{2028}"], "made visible");
    }
}
