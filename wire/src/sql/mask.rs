//! Literals out, one form for what differs in layout only.

use super::lex::{Kind, Lexeme, lex};

/// Masks `sql`: literals become `?`, white space one blank, comments nothing, and a list behind `IN` one
/// entry (`IN (?)`, `IN ($1, …)`) whatever its length. Parameters, names and the keywords `TRUE`, `FALSE`
/// and `NULL` stay. Text that cannot be read is masked from there on, so a cut never shows a literal.
///
/// Masking again, or after [`mask_bytes`], changes nothing for SQL that PostgreSQL takes.
pub fn mask(sql: &str) -> String {
    let lexemes = lex(sql);
    let mut masked = Masked {
        text: String::with_capacity(sql.len()),
        blank: false,
    };
    let mut next = 0;
    while let Some(lexeme) = lexemes.get(next) {
        if let Some(list) = InList::at(&lexemes[next..], sql) {
            masked.list(&list, &sql[lexeme.bytes.clone()]);
            next += list.lexemes;
            continue;
        }
        match lexeme.kind {
            Kind::Space | Kind::Comment => masked.blank = true,
            Kind::Literal => masked.push("?"),
            Kind::Param | Kind::Text => masked.push(&sql[lexeme.bytes.clone()]),
        }
        next += 1;
    }
    masked.text
}

/// Masks `sql` in place, each byte at its offset: every byte of a literal becomes `?`, of a comment a blank.
/// What is not UTF-8 is masked from there on.
pub fn mask_bytes(sql: &mut [u8]) {
    if !may_hold_literals(sql) {
        return;
    }
    let valid = match str::from_utf8(sql) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&sql[..error.valid_up_to()]).unwrap_or_default(),
    };
    let (lexemes, end) = (lex(valid), valid.len());
    for lexeme in lexemes {
        match lexeme.kind {
            Kind::Literal => sql[lexeme.bytes].fill(b'?'),
            Kind::Comment => sql[lexeme.bytes].fill(b' '),
            Kind::Space | Kind::Param | Kind::Text => {}
        }
    }
    sql[end..].fill(b'?');
}

/// A quick look: most prepared statements hold names, operators and parameters only.
fn may_hold_literals(sql: &[u8]) -> bool {
    let mut before = b' ';
    !sql.iter().all(|&byte| {
        let in_name = before.is_ascii_alphanumeric() || before == b'_';
        let plain = match byte {
            b'0'..=b'9' => in_name || before == b'$',
            b'$' => !in_name && before != b'$',
            b'-' => before != b'-',
            b'*' => before != b'/',
            b'\'' | b'"' | b'`' => false,
            _ => byte.is_ascii() && (before != b'$' || byte == b'$'),
        };
        before = byte;
        plain
    })
}

struct Masked {
    text: String,
    /// White space is owed before the next token.
    blank: bool,
}

impl Masked {
    fn push(&mut self, token: &str) {
        if std::mem::take(&mut self.blank) && !self.text.is_empty() {
            self.text.push(' ');
        }
        if token.starts_with('"') {
            return self.text.push_str(token);
        }
        for char in token.chars() {
            // Every byte of a masked literal is a `?`, and may have joined an operator.
            if char != '?' || !self.text.ends_with('?') {
                self.text.push(char);
            }
        }
    }

    fn list(&mut self, list: &InList<'_>, keyword: &str) {
        self.push(keyword);
        self.text.push_str(" (");
        self.text.push_str(list.first);
        self.text
            .push_str(if list.first == "?" { ")" } else { ", …)" });
    }
}

/// `IN (…)` of nothing but literals and parameters.
struct InList<'a> {
    /// The first entry, masked.
    first: &'a str,
    /// How many lexemes it all is.
    lexemes: usize,
}

impl<'a> InList<'a> {
    fn at(lexemes: &[Lexeme], sql: &'a str) -> Option<InList<'a>> {
        let text = |lexeme: &Lexeme| &sql[lexeme.bytes.clone()];
        if !text(lexemes.first()?).eq_ignore_ascii_case("in") {
            return None;
        }
        let mut first = None;
        let mut open = false;
        for (at, lexeme) in lexemes.iter().enumerate().skip(1) {
            let entry = match (lexeme.kind, text(lexeme)) {
                (Kind::Space | Kind::Comment, _) => continue,
                (Kind::Text, "(") if !open => {
                    open = true;
                    continue;
                }
                (Kind::Text, ")") if open => {
                    return first.map(|first| InList {
                        first,
                        lexemes: at + 1,
                    });
                }
                (Kind::Text, "," | "…") if open => continue,
                (Kind::Literal, _) if open => "?",
                (Kind::Param, param) if open => param,
                _ => return None,
            };
            first.get_or_insert(entry);
        }
        None
    }
}
