//! What a bar tells when pointed at.

use tierscope_model::{Attributes, Span, SpanEvent, SpanKind};

use crate::duration::human;
use crate::label;
use crate::text::visible_clip;
use crate::threads;

/// Longest value, in columns.
const LONGEST: usize = 300;

/// Name, duration, offset, process, remarks, attributes and the evidence for its place in the tree.
pub(super) fn title(span: &Span, offset: u64) -> String {
    let resource = &span.resource;
    let kind = match span.kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Internal => "internal",
    };
    let mut lines = vec![
        label::work_label(span),
        format!("{} from {}", human(span.duration()), human(offset)),
        format!(
            "{} · {kind} · {} [{}] on {}",
            visible_clip(&resource.service, LONGEST),
            visible_clip(&resource.process, LONGEST),
            resource.pid,
            visible_clip(&resource.host, LONGEST)
        ),
    ];
    lines.extend(label::notes(span));
    lines.extend(threads::summary(&span.slices, 0));
    lines.extend(attributes(&span.attributes));
    lines.extend(span.events.iter().map(|event| {
        let after = human(event.time.since(span.start));
        format!("{} after {after}", label::event_label(event))
    }));
    lines.push(match &span.parent {
        Some(link) => format!(
            "joined to its parent by {}",
            visible_clip(&link.evidence.to_string(), LONGEST)
        ),
        None => "joined to nothing".to_owned(),
    });
    lines.join("\n")
}

/// An event's name, offset and attributes.
pub(super) fn moment(event: &SpanEvent, offset: u64) -> String {
    let mut lines = vec![label::event_label(event), format!("at {}", human(offset))];
    lines.extend(attributes(&event.attributes));
    lines.join("\n")
}

fn attributes(attributes: &Attributes) -> impl Iterator<Item = String> {
    attributes.iter().map(|(key, value)| {
        let value = visible_clip(&value.to_string(), LONGEST);
        format!("{} = {value}", visible_clip(key, LONGEST))
    })
}
