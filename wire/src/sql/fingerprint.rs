//! What makes two texts the same statement, whoever normalised them.

use super::lex::{Kind, lex};
use super::mask;

/// The fingerprint of `sql`: [`mask`]ed, with parameters and the constants `TRUE`, `FALSE` and `NULL` masked
/// like literals. A program's own text and what PostgreSQL's statistics make of it (constants turned into
/// further parameters) have the same.
pub fn fingerprint(sql: &str) -> String {
    let masked = mask(sql);
    let mut text = String::with_capacity(masked.len());
    let mut before = ["", ""];
    for lexeme in lex(&masked) {
        let token = &masked[lexeme.bytes];
        let constant = lexeme.kind == Kind::Text && is_constant(token, before);
        match lexeme.kind {
            Kind::Param => text.push('?'),
            _ if constant => text.push('?'),
            _ => text.push_str(token),
        }
        if lexeme.kind != Kind::Space {
            before = [before[1], token];
        }
    }
    // A list of parameters behind IN says so, one of literals does not.
    text.replace("(?, …)", "(?)")
}

/// Whether a word is a constant; in `IS NULL` and `IS NOT TRUE` it is part of the operator.
fn is_constant(word: &str, before: [&str; 2]) -> bool {
    let is = |word: &str, keyword: &str| word.eq_ignore_ascii_case(keyword);
    let operator = is(before[1], "IS") || (is(before[0], "IS") && is(before[1], "NOT"));
    !operator
        && ["TRUE", "FALSE", "NULL"]
            .iter()
            .any(|known| is(word, known))
}
