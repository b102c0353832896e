//! Sentences in which something stands in backticks.

use maud::{Markup, html};

use crate::text::visible_clip;

/// The sentence, cut to `columns`; what stands between two backticks is code.
pub(super) fn prose(text: &str, columns: usize) -> Markup {
    let text = visible_clip(text, columns);
    let parts: Vec<&str> = text.split('`').collect();
    let last = parts.len() - 1;
    html! {
        @for (place, part) in parts.iter().enumerate() {
            @if place % 2 == 0 { (part) }
            // A backtick that none follows is one.
            @else if place == last { "`" (part) }
            @else { code { (part) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_two_backticks_is_code() {
        let html = |text| prose(text, 100).into_string();
        assert_eq!(
            html("query `SELECT <1>` in `sort`."),
            "query <code>SELECT &lt;1&gt;</code> in <code>sort</code>."
        );
        assert_eq!(html("`a` and `b"), "<code>a</code> and `b");
        assert_eq!(html("none"), "none");
    }
}
