//! Takes out of records what must not reach a disk, before the recorder writes them.

use std::mem::offset_of;

use rustc_hash::FxHashMap;
use tierscope_wire::{Keep, http, postgres, sql};
use zerocopy::FromBytes;

use crate::wire_record::*;

/// Sockets whose last send ended within a message, and bytes of cut heads that are held for them; beyond
/// this all are forgotten, which costs text, not secrecy: bytes that begin no message become 0.
const MAX_OPEN: usize = 65_536;
const MAX_HELD: usize = 16 << 20;
/// Different texts of probes whose masked form is remembered: an application has some dozens of statements.
const MAX_TEXTS: usize = 1024;
/// Longest HTTP head that is put together from several sends, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// Scrubs records in the order in which they were made.
///
/// Of a send it remembers where the next message begins when that is not where the send ends. Of a probe's
/// texts SQL is masked; methods, paths (the application gives them without query string), cache keys and
/// file names stay.
#[derive(Debug, Default)]
pub struct Scrubber {
    keep: Keep,
    open: FxHashMap<u64, Open>,
    /// Bytes of heads in `open`.
    held: usize,
    masked: FxHashMap<Box<[u8]>, Box<[u8]>>,
}

/// What a socket's next send begins with.
#[derive(Debug)]
enum Open {
    /// More of an HTTP head: what was sent of it, as it was, and the next sequence number.
    Head { sent: Vec<u8>, next: u32 },
    /// More of a PostgreSQL message, up to this sequence number.
    Message { end: u32 },
}

impl Open {
    fn held(&self) -> usize {
        match self {
            Open::Head { sent, .. } => sent.len(),
            Open::Message { .. } => 0,
        }
    }
}

impl Scrubber {
    /// A scrubber that leaves in place what `keep` says.
    pub fn new(keep: Keep) -> Scrubber {
        Scrubber {
            keep,
            ..Scrubber::default()
        }
    }

    /// Scrubs one record in place, its length unchanged; a SEND or USDT record that is not what it should be
    /// keeps nothing but its head.
    pub fn scrub(&mut self, record: &mut [u8]) {
        let Ok((head, _)) = ts_head::read_from_prefix(record) else {
            return record.fill(0);
        };
        let scrubbed = match u32::from(head.kind) {
            TS_KIND_SEND => self.send(record),
            TS_KIND_USDT => self.usdt(record),
            TS_KIND_CLOSE => self.close(record),
            _ => Some(()),
        };
        if scrubbed.is_none() {
            record[size_of::<ts_head>()..].fill(0);
        }
    }

    fn send(&mut self, record: &mut [u8]) -> Option<()> {
        let (send, _) = ts_send::read_from_prefix(record).ok()?;
        let (fixed, text) = record.split_at_mut(size_of::<ts_send>());
        let (head, padding) = text.split_at_mut_checked(usize::from(send.head_len))?;
        let tail = &mut fixed[offset_of!(ts_send, tail)..];
        let (tail, unused) = tail.split_at_mut_checked(usize::from(send.tail_len))?;
        padding.fill(0);
        unused.fill(0);
        let open = self.forget(send.cookie);
        let next = match u32::from(send.protocol) {
            TS_PROTOCOL_HTTP if self.keep.text => None,
            TS_PROTOCOL_HTTP => {
                http::scrub_tail(tail);
                scrub_http(&send, head, open)
            }
            TS_PROTOCOL_PG_FRONTEND | TS_PROTOCOL_PG_BACKEND => {
                postgres::scrub_tail(tail);
                scrub_postgres(&send, head, open, self.keep)
            }
            _ => {
                tail.fill(0);
                head.fill(0);
                None
            }
        };
        self.remember(send.cookie, next);
        Some(())
    }

    fn remember(&mut self, cookie: u64, open: Option<Open>) {
        let Some(open) = open else { return };
        if self.open.len() >= MAX_OPEN || self.held + open.held() > MAX_HELD {
            self.open.clear();
            self.held = 0;
        }
        self.held += open.held();
        self.open.insert(cookie, open);
    }

    fn forget(&mut self, cookie: u64) -> Option<Open> {
        let open = self.open.remove(&cookie)?;
        self.held -= open.held();
        Some(open)
    }

    fn usdt(&mut self, record: &mut [u8]) -> Option<()> {
        let (usdt, texts) = ts_usdt::mut_from_prefix(record).ok()?;
        let sql = texts.get_mut(..usize::from(usdt.text_len[0]))?;
        let is_sql = matches!(
            u32::from(usdt.probe),
            TS_PROBE_DB_QUERY_START
                | TS_PROBE_PG_PARSE_START
                | TS_PROBE_PG_EXECUTE_START
                | TS_PROBE_PG_STATEMENT_STATUS
        );
        if is_sql && !self.keep.text {
            self.mask(sql);
        }
        Some(())
    }

    /// Masks a statement, which a probe says again and again.
    fn mask(&mut self, text: &mut [u8]) {
        if let Some(masked) = self.masked.get(text) {
            return text.copy_from_slice(masked);
        }
        let original = Box::from(&*text);
        sql::mask_bytes(text);
        if self.masked.len() >= MAX_TEXTS {
            self.masked.clear();
        }
        self.masked.insert(original, Box::from(&*text));
    }

    fn close(&mut self, record: &[u8]) -> Option<()> {
        let (close, _) = ts_close::read_from_prefix(record).ok()?;
        self.forget(close.cookie);
        Some(())
    }
}

fn scrub_http(send: &ts_send, head: &mut [u8], open: Option<Open>) -> Option<Open> {
    let sent = match open {
        Some(Open::Head { mut sent, next }) if next == send.seq => {
            let before = sent.len();
            sent.extend_from_slice(head);
            let mut scrubbed = sent.clone();
            let unfinished = http::scrub(&mut scrubbed);
            head.copy_from_slice(&scrubbed[before..]);
            sent.split_off(unfinished?)
        }
        // Nearly every head comes whole: nothing of it is kept.
        _ => {
            let mut original = head.to_vec();
            original.split_off(http::scrub(head)?)
        }
    };
    let whole = head.len() == send.sent as usize && sent.len() <= MAX_HEAD;
    whole.then_some(Open::Head {
        sent,
        next: send.seq.wrapping_add(send.sent),
    })
}

fn scrub_postgres(send: &ts_send, head: &mut [u8], open: Option<Open>, keep: Keep) -> Option<Open> {
    let skip = match open {
        // A sequence number behind this one: something was not seen.
        Some(Open::Message { end }) => {
            usize::try_from(end.wrapping_sub(send.seq) as i32).unwrap_or(0)
        }
        _ => 0,
    };
    let next = if u32::from(send.protocol) == TS_PROTOCOL_PG_FRONTEND {
        postgres::scrub_frontend(head, skip, keep)
    } else {
        postgres::scrub_backend(head, skip, keep)
    };
    // Messages that were not captured lie in between.
    let next = next.filter(|&next| next > send.sent as usize)?;
    Some(Open::Message {
        end: send.seq.wrapping_add(u32::try_from(next).ok()?),
    })
}
