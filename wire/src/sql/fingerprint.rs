//! What makes two texts the same statement, whoever normalised them.

use super::lex::{Kind, lex};
use super::mask;

/// The fingerprint of `sql`: [`mask`]ed, with parameters masked like literals. A program's own text and
/// what PostgreSQL's statistics make of it (literals turned into further parameters) have the same.
pub fn fingerprint(sql: &str) -> String {
    let masked = mask(sql);
    let mut text = String::with_capacity(masked.len());
    for lexeme in lex(&masked) {
        match lexeme.kind {
            Kind::Param => text.push('?'),
            _ => text.push_str(&masked[lexeme.bytes]),
        }
    }
    // A list of parameters behind IN says so, one of literals does not.
    text.replace("(?, …)", "(?)")
}
