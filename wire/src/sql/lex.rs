//! SQL as a row of tokens, each with its bytes, by what masking does to it.

use std::ops::Range;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

/// What masking does to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space: collapsed.
    Space,
    /// A comment: dropped.
    Comment,
    /// A string or a number, or text that cannot be told from one: masked.
    Literal,
    /// `$1`: kept.
    Param,
    /// A keyword, a name, an operator: kept.
    Text,
}

/// A token and where its bytes stand.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) kind: Kind,
    pub(super) bytes: Range<usize>,
}

/// Tokens of `sql` in order, without gaps. From the first that cannot be read on, all is one literal.
pub(super) fn lex(sql: &str) -> Vec<Lexeme> {
    let mut tokens = Vec::new();
    // What stands before a failure is in `tokens`; the rest is told by its absence.
    let _ = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .with_unescape(false)
        .tokenize_with_location_into_buf(&mut tokens);
    let mut cursor = Cursor::new(sql);
    let mut lexemes: Vec<Lexeme> = Vec::with_capacity(tokens.len() + 1);
    for token in &tokens {
        let before = lexemes.last().map(|lexeme| lexeme.kind);
        let (Some(kind), Some(bytes)) = (kind(token, before), cursor.until(token.span.end)) else {
            break;
        };
        lexemes.push(Lexeme { kind, bytes });
    }
    let read = lexemes.last().map_or(0, |lexeme| lexeme.bytes.end);
    if read < sql.len() {
        lexemes.push(Lexeme {
            kind: Kind::Literal,
            bytes: read..sql.len(),
        });
    }
    lexemes
}

/// What masking does to a token that stands behind one of kind `before`; `None` where PostgreSQL would read
/// it otherwise.
fn kind(token: &TokenWithSpan, before: Option<Kind>) -> Option<Kind> {
    Some(match &token.token {
        Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => Kind::Space,
        Token::Whitespace(_) => Kind::Comment,
        // `0b101`, `0o17`, `0XFF`: the rest of a number.
        Token::Word(word) if before == Some(Kind::Literal) && word.quote_style.is_none() => {
            Kind::Literal
        }
        Token::Word(_) => Kind::Text,
        // A comment ends an operator.
        Token::CustomBinaryOperator(text) if text.contains("--") || text.contains("/*") => {
            return None;
        }
        Token::Placeholder(text) if is_param(text) => Kind::Param,
        Token::Placeholder(_) | Token::Number(..) | Token::Question => Kind::Literal,
        token if is_string(token) => Kind::Literal,
        _ => Kind::Text,
    })
}

fn is_param(text: &str) -> bool {
    let digits = text.trim_start_matches('$');
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_string(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
    )
}

/// Turns the tokenizer's lines and columns into byte offsets.
struct Cursor<'a> {
    sql: &'a str,
    at: usize,
    line: u64,
    column: u64,
}

impl<'a> Cursor<'a> {
    fn new(sql: &'a str) -> Cursor<'a> {
        Cursor {
            sql,
            at: 0,
            line: 1,
            column: 1,
        }
    }

    /// Bytes from here to `end`, which becomes here; `None` where no character begins there.
    fn until(&mut self, end: Location) -> Option<Range<usize>> {
        let start = self.at;
        let mut rest = self.sql[start..].chars();
        while (self.line, self.column) < (end.line, end.column) {
            let char = rest.next()?;
            self.at += char.len_utf8();
            if char == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        ((self.line, self.column) == (end.line, end.column)).then_some(start..self.at)
    }
}
