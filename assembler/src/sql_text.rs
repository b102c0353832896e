//! SQL text as captured: masked and named.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use tierscope_model::SmolStr;
use tierscope_wire::sql;

/// Texts whose masking is remembered: programs run the same few again and again, and reading one costs
/// more than all else that is done for its exchange.
const REMEMBERED: usize = 1_024;

thread_local! {
    static MASKED: RefCell<FxHashMap<SmolStr, (SmolStr, SmolStr)>> = RefCell::default();
}

/// SQL text, masked; `cut` where the capture ended within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) text: SmolStr,
    /// Operation and main table.
    pub(crate) summary: SmolStr,
    pub(crate) cut: bool,
}

impl Statement {
    pub(crate) fn new(text: &str, cut: bool) -> Statement {
        let (text, summary) = masked(text);
        Statement { text, summary, cut }
    }

    /// Whether both may be the same text: equal, or equal as far as the shorter capture goes.
    pub(crate) fn agrees(&self, other: &Statement) -> bool {
        if !self.cut && !other.cut {
            return self.text == other.text;
        }
        let common = self.text.len().min(other.text.len());
        // The last token before a cut may be masked as something it is not.
        let sure = common.saturating_sub(32);
        self.text.as_bytes()[..sure] == other.text.as_bytes()[..sure]
            && (self.cut || self.text.len() <= other.text.len())
            && (other.cut || other.text.len() <= self.text.len())
    }
}

fn masked(text: &str) -> (SmolStr, SmolStr) {
    MASKED.with_borrow_mut(|known| {
        if let Some(both) = known.get(text) {
            return both.clone();
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let masked = sql::mask(text);
        let both = (masked.as_str().into(), sql::summary(&masked).into());
        known.insert(text.into(), both.clone());
        both
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_masked() {
        for at in 0..2 * REMEMBERED {
            let text = format!("SELECT * FROM t{at} WHERE id = {at}");
            for _ in 0..2 {
                let statement = Statement::new(&text, false);
                let wanted = format!("SELECT * FROM t{at} WHERE id = ?");
                assert_eq!(statement.text, wanted.as_str());
                assert_eq!(statement.summary, format!("SELECT t{at}").as_str());
            }
        }
    }
}
