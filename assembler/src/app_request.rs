//! Pass 4a: what the application's probes say of one request.

use smol_str::format_smolstr;
use tierscope_model::{
    Attributes, Nanos, Probe, SmolStr, SocketCookie, SpanEvent, Timestamp, Usdt, attr,
};

use crate::endpoint::route;
use crate::sql_text::Statement;

/// SQL text in a probe is kept up to this many bytes by the tracer.
const TEXT_LIMIT: usize = 1024;

/// Something with a start and an end inside the handler.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: ItemKind,
    pub(crate) start: Timestamp,
    pub(crate) tid: u32,
    pub(crate) end: Option<Timestamp>,
    /// Its statement was sent: a query runs once, whatever prepares and closes surround it.
    pub(crate) sent: bool,
}

/// What an item is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ItemKind {
    Acquire,
    Query {
        statement: Statement,
        rows: Option<u64>,
    },
    File {
        path: SmolStr,
        operation: SmolStr,
        bytes: Option<u64>,
    },
    Phase {
        name: SmolStr,
    },
}

/// The read that a request was taken from, in the poll of `request_start`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollRead {
    pub(crate) cookie: SocketCookie,
    pub(crate) time: Timestamp,
    pub(crate) tid: u32,
}

/// What the probes say of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppRequest {
    pub(crate) start: Option<Timestamp>,
    pub(crate) tid: u32,
    pub(crate) method: SmolStr,
    pub(crate) path: SmolStr,
    pub(crate) read: Option<PollRead>,
    pub(crate) end: Option<(Timestamp, u16)>,
    pub(crate) items: Vec<Item>,
    pub(crate) points: Vec<SpanEvent>,
    /// Threads that worked for it.
    pub(crate) tids: Vec<u32>,
    /// How it is called where another request's wait is told by it, e.g. `GET /api/report/{id} 9c1f…`.
    pub(crate) label: SmolStr,
}

impl Item {
    fn new(kind: ItemKind, tid: u32, start: Timestamp) -> Item {
        Item {
            kind,
            start,
            tid,
            end: None,
            sent: false,
        }
    }
}

/// What the probe opens; none where it opens nothing.
fn opened(usdt: &Usdt) -> Option<ItemKind> {
    let [first, second] = &usdt.text;
    Some(match usdt.probe {
        Probe::DbAcquireStart => ItemKind::Acquire,
        Probe::DbQueryStart => ItemKind::Query {
            statement: Statement::new(first, first.len() >= TEXT_LIMIT),
            rows: None,
        },
        Probe::FileIoStart => ItemKind::File {
            path: first.clone(),
            operation: second.clone(),
            bytes: None,
        },
        Probe::SpanStart => ItemKind::Phase {
            name: first.clone(),
        },
        _ => return None,
    })
}

impl AppRequest {
    /// Start and end of the handler: what its own probes say, else the first and last of what it holds.
    pub(crate) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        let items = self.items.iter();
        let times = items
            .flat_map(|item| [Some(item.start), item.end])
            .flatten();
        let times = times.chain(self.points.iter().map(|point| point.time));
        let start = self.start.or_else(|| times.clone().min())?;
        let end = self.end.map(|(end, _)| end).or_else(|| times.max());
        Some((start, end.unwrap_or(start).max(start)))
    }

    /// Takes a probe in; `read` is the poll's read where it is `request_start`.
    pub(crate) fn note(&mut self, usdt: &Usdt, time: Timestamp, read: Option<PollRead>) {
        if let Some(kind) = opened(usdt) {
            return self.items.push(Item::new(kind, usdt.tid, time));
        }
        let [first, second] = &usdt.text;
        match usdt.probe {
            Probe::RequestStart => {
                self.start = Some(time);
                self.tid = usdt.tid;
                self.method.clone_from(first);
                self.path.clone_from(second);
                self.read = read;
                let id = format!("{:016x}", usdt.args[0]);
                self.label = format_smolstr!("{first} {} {}…", route(second), &id[..4]);
            }
            Probe::RequestEnd => self.end = Some((time, usdt.args[2] as u16)),
            Probe::DbAcquireEnd => self.close(time, 0, |kind| matches!(kind, ItemKind::Acquire)),
            Probe::DbQueryEnd => self.close(time, usdt.args[2], |kind| match kind {
                ItemKind::Query { rows, .. } => rows.replace(usdt.args[3]).is_none(),
                _ => false,
            }),
            Probe::CacheHit => self.point("cache hit", first, time),
            Probe::CacheMiss => self.point("cache miss", first, time),
            Probe::FileIoEnd => self.close(time, 0, |kind| match kind {
                ItemKind::File { bytes, .. } => bytes.replace(usdt.args[2]).is_none(),
                _ => false,
            }),
            Probe::SpanEnd => self.close(time, 0, |kind| matches!(kind, ItemKind::Phase { .. })),
            _ => {}
        }
    }

    /// Ends the open item that `finish` accepts: with a measured duration the one that began that
    /// long ago, else the one opened last.
    fn close(&mut self, time: Timestamp, duration: Nanos, finish: impl Fn(&mut ItemKind) -> bool) {
        let off = |item: &Item| {
            if duration == 0 {
                0
            } else {
                (time - duration).0.abs_diff(item.start.0)
            }
        };
        let open = self
            .items
            .iter_mut()
            .rev()
            .filter(|item| item.end.is_none());
        let alike = open.filter(|item| finish(&mut item.kind.clone()));
        if let Some(item) = alike.min_by_key(|item| off(item)) {
            finish(&mut item.kind);
            item.end = Some(time);
        }
    }

    fn point(&mut self, name: &'static str, key: &SmolStr, time: Timestamp) {
        let mut attributes = Attributes::new();
        attributes.set(attr::CACHE_KEY, key.clone());
        self.points.push(SpanEvent {
            time,
            name: SmolStr::new_static(name),
            attributes,
        });
    }
}
