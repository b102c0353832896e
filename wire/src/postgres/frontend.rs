//! What a client's message says.

use super::{Message, text};

/// A client's message. Names and texts are as far as they were captured and UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol's own")]
pub enum Frontend<'a> {
    /// Makes a prepared statement; the unnamed one has an empty name.
    Parse {
        name: &'a str,
        sql: &'a str,
        /// The capture holds all of the text.
        sql_complete: bool,
    },
    /// Makes a portal of a statement and values (see [`bind_params`](super::bind_params)).
    Bind {
        portal: &'a str,
        statement: &'a str,
    },
    Execute {
        portal: &'a str,
    },
    /// `kind`: `S` statement, `P` portal; 0 where it was not captured.
    Describe {
        kind: u8,
        name: &'a str,
    },
    /// `kind`: `S` statement, `P` portal; 0 where it was not captured.
    Close {
        kind: u8,
        name: &'a str,
    },
    Sync,
    Flush,
    /// The simple protocol.
    Query {
        sql: &'a str,
        /// The capture holds all of the text.
        sql_complete: bool,
    },
    FunctionCall,
    CopyData,
    CopyDone,
    CopyFail,
    /// A password or a step of SASL or GSSAPI.
    Password,
    Terminate,
}

pub(super) fn read<'a>(message: &Message<'a>) -> Frontend<'a> {
    let mut rest = message.body;
    match message.tag {
        b'P' => {
            let (name, _) = text::take(&mut rest);
            let (sql, sql_complete) = text::take(&mut rest);
            Frontend::Parse {
                name,
                sql,
                sql_complete,
            }
        }
        b'B' => {
            let (portal, _) = text::take(&mut rest);
            let (statement, _) = text::take(&mut rest);
            Frontend::Bind { portal, statement }
        }
        b'E' => Frontend::Execute {
            portal: text::take(&mut rest).0,
        },
        b'D' => {
            let (kind, name) = target(rest);
            Frontend::Describe { kind, name }
        }
        b'C' => {
            let (kind, name) = target(rest);
            Frontend::Close { kind, name }
        }
        b'Q' => {
            let (sql, sql_complete) = text::take(&mut rest);
            Frontend::Query { sql, sql_complete }
        }
        b'S' => Frontend::Sync,
        b'H' => Frontend::Flush,
        b'F' => Frontend::FunctionCall,
        b'd' => Frontend::CopyData,
        b'c' => Frontend::CopyDone,
        b'f' => Frontend::CopyFail,
        b'p' => Frontend::Password,
        // The walk lets no other tag through.
        _ => Frontend::Terminate,
    }
}

fn target(body: &[u8]) -> (u8, &str) {
    match body.split_first() {
        Some((&kind, mut name)) => (kind, text::take(&mut name).0),
        None => (0, ""),
    }
}
