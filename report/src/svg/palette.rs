//! Colours, chosen for contrast on white (4.5:1 for text on its bar).

use tierscope_model::Doing;

use super::xml::Xml;

/// Text and lines.
pub(super) const INK: &str = "#0f172a";
pub(super) const MUTED: &str = "#475569";
pub(super) const GRID: &str = "#e2e8f0";
pub(super) const ERROR: &str = "#dc2626";

/// Bytes written that the device has not yet.
pub(super) const SEND: &str = "#fcd34d";
/// Bytes on their way.
pub(super) const TRANSFER: &str = "#f59e0b";
/// Bytes waiting in the receiver's socket buffer: hatched.
pub(super) const QUEUE: &str = "url(#queue)";
/// Time that no part covers: lightly hatched.
pub(super) const GAP: &str = "url(#gap)";

/// What a thread did, in the line at the foot of its span's bar.
pub(super) fn doing(doing: Doing) -> &'static str {
    match doing {
        Doing::Running => "#16a34a",
        Doing::Runnable => "#ef4444",
        Doing::Waiting => "#94a3b8",
        Doing::Unknown => "#f1f5f9",
    }
}

/// Strong (calls) and soft (work inside) colour per tier: client, proxy, app, database, further ones.
const TIERS: [(&str, &str); 6] = [
    ("#475569", "#cbd5e1"),
    ("#15803d", "#a7e3bb"),
    ("#1d4ed8", "#b3cdfb"),
    ("#7e22ce", "#dcc2fa"),
    ("#0f766e", "#99e0d6"),
    ("#9f1239", "#fbc0cb"),
];

/// The tier's colour for calls, dark enough for white text.
pub(super) fn strong(tier: usize) -> &'static str {
    TIERS[tier % TIERS.len()].0
}

/// The tier's colour for the work inside a call, light enough for dark text.
pub(super) fn soft(tier: usize) -> &'static str {
    TIERS[tier % TIERS.len()].1
}

/// Defines the two hatchings.
pub(super) fn patterns(xml: &mut Xml) {
    xml.open("defs", &[]);
    for (id, ground, stroke) in [
        ("queue", "#fef3c7", "#fbbf24"),
        ("gap", "#f8fafc", "#e2e8f0"),
    ] {
        let size = [("width", "6"), ("height", "6")];
        let id = [("id", id), ("patternUnits", "userSpaceOnUse")];
        let turn = [("patternTransform", "rotate(45)")];
        xml.open("pattern", &[&id[..], &size, &turn].concat());
        xml.empty("rect", &[&size[..], &[("fill", ground)]].concat());
        let bar = [("width", "2"), ("height", "6"), ("fill", stroke)];
        xml.empty("rect", &bar);
        xml.close("pattern");
    }
    xml.close("defs");
}
