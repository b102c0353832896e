//! Text with seeded placeholders: `/api/users/{id:1..10000}`, `?q={word}`.

use std::fmt::Write as _;

use rand::{Rng, RngExt as _, seq::IndexedRandom as _};
use serde::Deserialize;

/// What is wrong with a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder that does not end.
    #[error("placeholder `{{{0}` has no closing brace")]
    Open(String),
    /// Neither `{word}` nor a range.
    #[error("placeholder `{{{0}}}` is neither {{word}} nor {{name:LOW..HIGH}} with LOW <= HIGH")]
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Range(u64, u64),
    Word,
}

/// A parsed template. A brace followed by a letter opens a placeholder, any other is text, so
/// JSON needs no escaping.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Piece>);

impl Template {
    /// Whether it draws from the word list.
    pub fn needs_words(&self) -> bool {
        self.0.contains(&Piece::Word)
    }

    /// The literal parts.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// One text drawn from `rng`; `words` must not be empty when [`Self::needs_words`].
    pub fn render(&self, rng: &mut impl Rng, words: &[String]) -> String {
        let mut text = String::with_capacity(64);
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                // Writing to a String cannot fail.
                Piece::Range(low, high) => _ = write!(text, "{}", rng.random_range(*low..=*high)),
                Piece::Word => text.push_str(words.choose(rng).map_or("", String::as_str)),
            }
        }
        text
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some(open) = next_placeholder(rest) {
            let inner = &rest[open + 1..];
            let close = inner
                .find('}')
                .ok_or_else(|| TemplateError::Open(inner.to_owned()))?;
            pieces.push(Piece::Text(rest[..open].to_owned()));
            pieces.push(placeholder(&inner[..close])?);
            rest = &inner[close + 1..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }
}

fn next_placeholder(text: &str) -> Option<usize> {
    text.as_bytes()
        .windows(2)
        .position(|pair| pair[0] == b'{' && pair[1].is_ascii_alphabetic())
}

fn placeholder(inner: &str) -> Result<Piece, TemplateError> {
    if inner == "word" {
        return Ok(Piece::Word);
    }
    let range = || {
        let (_, range) = inner.split_once(':')?;
        let (low, high) = range.split_once("..")?;
        Some((low.parse().ok()?, high.parse().ok()?))
    };
    match range() {
        Some((low, high)) if low <= high => Ok(Piece::Range(low, high)),
        _ => Err(TemplateError::Unknown(inner.to_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::{SeedableRng as _, rngs::ChaCha8Rng};

    use super::*;

    fn parse(text: &str) -> Result<Template, TemplateError> {
        Template::try_from(text.to_owned())
    }

    #[test]
    fn ranges_include_both_ends() {
        let template = parse("/x/{id:3..5}").unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen: Vec<_> = (0..100).map(|_| template.render(&mut rng, &[])).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["/x/3", "/x/4", "/x/5"]);
    }

    #[test]
    fn json_braces_are_text() {
        let template = parse(r#"{"a": {a:7..7}, "b": {}, "c": "{word}"}"#).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let text = template.render(&mut rng, &["lamp".to_owned()]);
        assert_eq!(text, r#"{"a": 7, "b": {}, "c": "lamp"}"#);
        assert!(template.needs_words());
    }

    #[test]
    fn bad_placeholders_are_named() {
        let open = TemplateError::Open("id:1..2".to_owned());
        assert_eq!(parse("/{id:1..2").unwrap_err(), open);
        for inner in ["id", "id:1", "id:5..3", "id:a..b", "words", "id:-1..2"] {
            let error = parse(&format!("/{{{inner}}}")).unwrap_err();
            assert_eq!(error, TemplateError::Unknown(inner.to_owned()));
        }
    }
}
