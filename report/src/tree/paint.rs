//! ANSI colours, if asked for.

/// One colour per tier, in order: client, proxy, app, database, further ones.
const TIERS: [&str; 6] = ["39", "32", "94", "35", "36", "31"];
/// What lies between two tiers.
const NETWORK: &str = "33";

/// Wraps text in escape sequences, or leaves it alone.
pub(crate) struct Paint {
    color: bool,
}

impl Paint {
    pub(crate) fn new(color: bool) -> Paint {
        Paint { color }
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(crate) fn red(&self, text: &str) -> String {
        self.wrap("31", text)
    }

    pub(crate) fn tier(&self, tier: Option<usize>, text: &str) -> String {
        self.wrap(tier.map_or(NETWORK, |t| TIERS[t % TIERS.len()]), text)
    }

    fn wrap(&self, code: &str, text: &str) -> String {
        match self.color && !text.trim().is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}
