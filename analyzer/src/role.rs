//! What a span is in its request: what its own time may be put down to.

use tierscope_model::{Span, SpanKind, Trace, attr};

use crate::tree::{RECEIVER_FULL, Tree};

/// The roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A lost segment's hole in a message.
    Hole,
    /// A packet's second try, after its sender's own host had dropped it.
    Failure,
    /// The wait in a receive queue, or for accept(2).
    Queue,
    /// First write → last byte handed to the device.
    Send,
    /// On the way; also the making of a connection.
    Wire,
    /// A server that passes requests on.
    Proxy,
    /// The application, or whatever else is inside a process.
    App,
    /// The wait for a pooled connection.
    Pool,
    /// The application's file operation.
    File,
    /// A PostgreSQL backend.
    Backend,
    /// A lock wait in it.
    Lock,
    /// A lightweight lock wait in it.
    Lwlock,
    /// Its files and disks.
    Io,
}

/// The role of each span of a trace.
pub(crate) fn roles(trace: &Trace, tree: &Tree) -> Vec<Role> {
    let mut roles = Vec::with_capacity(trace.spans.len());
    for (at, span) in trace.spans.iter().enumerate() {
        let parent = tree
            .parent(at)
            .and_then(|parent| roles.get(parent).copied());
        roles.push(part(span).unwrap_or_else(|| match span.kind {
            SpanKind::Server => server(at, trace, tree),
            // The caller's side: its own time is the caller's.
            SpanKind::Client => parent.unwrap_or(Role::App),
            SpanKind::Internal => internal(span, parent.unwrap_or(Role::App)),
        }));
    }
    roles
}

fn part(span: &Span) -> Option<Role> {
    match span.attributes.text(attr::PART)? {
        "receive queue" => Some(Role::Queue),
        "send" => Some(Role::Send),
        _ => Some(Role::Wire),
    }
}

fn server(at: usize, trace: &Trace, tree: &Tree) -> Role {
    if trace.spans[at]
        .attributes
        .get(attr::DB_SYSTEM_NAME)
        .is_some()
    {
        return Role::Backend;
    }
    let mut children = tree.children(at).iter().map(|child| &trace.spans[*child]);
    match children.any(|child| child.kind == SpanKind::Client) {
        true => Role::Proxy,
        false => Role::App,
    }
}

fn internal(span: &Span, parent: Role) -> Role {
    match (span.name.as_str(), parent) {
        ("retransmit hole", _) => Role::Hole,
        ("send failure", _) => Role::Failure,
        ("accept" | RECEIVER_FULL, _) => Role::Queue,
        ("connect", _) => Role::Wire,
        ("db pool wait", _) => Role::Pool,
        // A flush of the log may be a wait for whoever flushes it now.
        ("lock wait", Role::Backend | Role::Io) => Role::Lock,
        ("lwlock wait", Role::Backend | Role::Io) => Role::Lwlock,
        (name, Role::Backend) if is_io(name) => Role::Io,
        (name, Role::App) if is_io(name) || name.starts_with("file ") => Role::File,
        (_, parent) => parent,
    }
}

fn is_io(name: &str) -> bool {
    name.starts_with("disk ")
        || matches!(
            name,
            "WAL flush" | "page read" | "I/O wait" | "fsync" | "open" | "file read" | "file write"
        )
}
