//! PostgreSQL protocol 3 messages in captured bytes.
//!
//! A message is a tag, a length in network order that counts itself, and a body. Captures may end anywhere:
//! the last message then says how long it is and shows what was captured of it.

mod backend;
mod frontend;
mod params;
mod scrub;
mod startup;
mod tail;
mod text;

pub use backend::{Backend, CommandTag};
pub use frontend::Frontend;
pub use params::bind_params;
pub use scrub::{scrub_backend, scrub_frontend, scrub_tail};
pub use startup::{Startup, StartupKind, startup};
pub use tail::{ready_tail, sync_tail};

/// Tags of a client's messages.
const FRONTEND_TAGS: &[u8] = b"PBEDCSQHXdcfFp";
/// Tags of a server's messages.
const BACKEND_TAGS: &[u8] = b"RKS123ntTDICENAZGHWdcVvs";

/// Tag and length.
const HEADER: usize = 5;
/// PostgreSQL's own limit for a message.
const MAX_LENGTH: usize = 1 << 30;

/// One message, as far as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where it begins in the bytes that were walked.
    pub offset: usize,
    /// Its tag.
    pub tag: u8,
    /// Its length in bytes, tag and length field included, captured or not.
    pub total: usize,
    /// Captured part of its body.
    pub body: &'a [u8],
    /// The whole body was captured.
    pub complete: bool,
}

impl<'a> Message<'a> {
    /// What it says, coming from a client.
    pub fn as_frontend(&self) -> Frontend<'a> {
        frontend::read(self)
    }

    /// What it says, coming from a server.
    pub fn as_backend(&self) -> Backend<'a> {
        backend::read(self)
    }
}

/// Bytes that are no message: an unknown tag, a length under 4 or over 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where they stand in the bytes that were walked.
    pub offset: usize,
}

/// The messages of some bytes, in order; ends with the capture or at the first malformed one.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    bytes: &'a [u8],
    tags: &'static [u8],
    next: usize,
    malformed: Option<Malformed>,
}

/// Walks a client's bytes from the start of a message.
pub fn frontend(bytes: &[u8]) -> Messages<'_> {
    Messages {
        bytes,
        tags: FRONTEND_TAGS,
        next: 0,
        malformed: None,
    }
}

/// Walks a server's bytes from the start of a message.
pub fn backend(bytes: &[u8]) -> Messages<'_> {
    Messages {
        bytes,
        tags: BACKEND_TAGS,
        next: 0,
        malformed: None,
    }
}

impl Messages<'_> {
    /// Where the walk was lost, if it was.
    pub fn malformed(&self) -> Option<Malformed> {
        self.malformed
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let offset = self.next;
        let rest = self.bytes.get(offset..)?;
        let total = match frame(rest, self.tags) {
            Frame::Message(total) => total,
            Frame::NeedMore => return None,
            Frame::Malformed => {
                self.malformed = Some(Malformed { offset });
                return None;
            }
        };
        self.next = offset + total;
        let captured = &rest[..total.min(rest.len())];
        Some(Message {
            offset,
            tag: captured[0],
            total,
            body: &captured[HEADER..],
            complete: captured.len() == total,
        })
    }
}

/// What `rest` begins with.
enum Frame {
    /// A message of so many bytes, tag and length field included.
    Message(usize),
    NeedMore,
    Malformed,
}

fn frame(rest: &[u8], tags: &[u8]) -> Frame {
    match rest {
        [tag, ..] if !tags.contains(tag) => Frame::Malformed,
        [_, a, b, c, d, ..] => match u32::from_be_bytes([*a, *b, *c, *d]) as usize {
            length @ 4..=MAX_LENGTH => Frame::Message(length + 1),
            _ => Frame::Malformed,
        },
        _ => Frame::NeedMore,
    }
}
