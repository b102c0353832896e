//! What a server's message says.

use super::{Message, text};

/// A server's message. Texts are as far as they were captured and UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol's own")]
pub enum Backend<'a> {
    /// A step of authentication.
    Authentication,
    KeyData,
    ParameterStatus,
    ParseComplete,
    BindComplete,
    CloseComplete,
    NoData,
    ParameterDescription,
    RowDescription,
    DataRow,
    PortalSuspended,
    EmptyQuery,
    CommandComplete(CommandTag<'a>),
    /// `severity` as in `ERROR`; `code`: the SQLSTATE; empty where not captured.
    ErrorResponse {
        severity: &'a str,
        code: &'a str,
    },
    Notice,
    Notification,
    /// `status`: `I` idle, `T` in a transaction, `E` in a failed one; 0 where not captured.
    ReadyForQuery {
        status: u8,
    },
    CopyIn,
    CopyOut,
    CopyBoth,
    CopyData,
    CopyDone,
    FunctionResult,
    NegotiateVersion,
}

/// What a command says when it is done, e.g. `INSERT 0 5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandTag<'a>(pub &'a str);

impl CommandTag<'_> {
    /// Rows the command returned or touched: the last word where it is a number (`SELECT 10`).
    pub fn rows(&self) -> Option<u64> {
        self.0.rsplit_once(' ')?.1.parse().ok()
    }
}

pub(super) fn read<'a>(message: &Message<'a>) -> Backend<'a> {
    let mut rest = message.body;
    match message.tag {
        b'Z' => Backend::ReadyForQuery {
            status: rest.first().copied().unwrap_or(0),
        },
        b'C' => Backend::CommandComplete(CommandTag(text::take(&mut rest).0)),
        b'E' => error(rest),
        b'D' => Backend::DataRow,
        b'T' => Backend::RowDescription,
        b'1' => Backend::ParseComplete,
        b'2' => Backend::BindComplete,
        b'3' => Backend::CloseComplete,
        b'n' => Backend::NoData,
        b't' => Backend::ParameterDescription,
        b's' => Backend::PortalSuspended,
        b'I' => Backend::EmptyQuery,
        b'R' => Backend::Authentication,
        b'K' => Backend::KeyData,
        b'S' => Backend::ParameterStatus,
        b'N' => Backend::Notice,
        b'A' => Backend::Notification,
        b'G' => Backend::CopyIn,
        b'H' => Backend::CopyOut,
        b'W' => Backend::CopyBoth,
        b'd' => Backend::CopyData,
        b'c' => Backend::CopyDone,
        b'V' => Backend::FunctionResult,
        // The walk lets no other tag through.
        _ => Backend::NegotiateVersion,
    }
}

fn error(mut fields: &[u8]) -> Backend<'_> {
    let (mut severity, mut code) = ("", "");
    while let Some((&field, mut rest)) = fields.split_first() {
        let (value, _) = text::take(&mut rest);
        match field {
            0 => break,
            b'S' => severity = value,
            b'C' => code = value,
            _ => {}
        }
        fields = rest;
    }
    Backend::ErrorResponse { severity, code }
}
