//! Makes text from outside safe to draw and fits it into a width.

use unicode_width::UnicodeWidthChar;

/// The text with every character that does not print (controls, escapes, bidi marks, zero-width,
/// combining, private and unassigned ones, any space but the plain one) as its Rust escape.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

/// Columns that the text takes in a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// The text cut to at most `columns`, its last one `…` where something was cut.
pub(crate) fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let mut out: String = text
        .chars()
        .take_while(|c| {
            let fits = char_width(*c) <= left;
            left = left.saturating_sub(char_width(*c));
            fits
        })
        .collect();
    if columns > 0 {
        out.push('…');
    }
    out
}

/// [`visible`] text cut to `columns`; the cost is bounded however long the input is.
pub(crate) fn visible_clip(text: &str, columns: usize) -> String {
    let head: String = text.chars().take(columns + 1).collect();
    clip(&visible(&head), columns)
}

fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_a_terminal_becomes_visible() {
        let hostile = "a\x1b]0;owned\x07\n\r\t\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}é 表";
        let shown = visible(hostile);
        assert!(shown.contains("\\u{1b}]0;owned\\u{7}\\n\\r\\t\\u{9b}31m\\u{202e}\\u{2066}"));
        assert!(shown.ends_with("\\u{200b}\\u{feff}é 表"));
        assert!(!shown.chars().any(char::is_control));
    }

    #[test]
    fn quotes_and_backslashes_stay_readable() {
        assert_eq!(visible(r#"it's "a\b""#), r#"it's "a\b""#);
    }

    #[test]
    fn a_cut_text_fits_its_columns_and_says_so() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("表表表", 4), "表…");
        assert_eq!(clip("abc", 0), "");
        assert_eq!(width(&visible_clip(&"x".repeat(1 << 20), 50)), 50);
    }
}
