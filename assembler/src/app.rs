//! Pass 4a: the application's own probes become one record per request, and bind its queries to
//! PostgreSQL connections.
//!
//! Tokio moves a task between threads at every await, so a thread tells of a request only within one
//! poll. `request_start` fires in the poll that read the request; `db_query_start` fires in the poll
//! that writes the query. Anything else that the thread does ends what the poll can tell.

use rustc_hash::FxHashMap;
use tierscope_model::{Probe, RequestId, SocketCookie, Timestamp, Usdt};

use crate::app_request::{AppRequest, ItemKind, PollRead};
use crate::postgres::{Begun, PgFacts, PgKind};
use crate::sql_text::Statement;
use crate::threads::Owner;

/// A request of one process.
pub(crate) type RequestKey = (u32, RequestId);

/// How a PostgreSQL exchange came to belong to a request.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) request: RequestKey,
    /// Index of the query (or of the pool wait) among the request's items; none for a ROLLBACK that
    /// the pool sent after the request let go of the connection.
    pub(crate) item: Option<usize>,
    pub(crate) proof: Proof,
}

impl Binding {
    fn is_same(&self, other: &Binding) -> bool {
        (self.request, self.item) == (other.request, other.item)
    }
}

/// What a binding rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    /// The thread's next send after the probe, within the poll.
    Poll(u32, Timestamp),
    /// The statement is that of one open query only.
    Statement,
    /// The connection is inside the request's transaction.
    Transaction,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Pending {
    request: RequestKey,
    item: usize,
    time: Timestamp,
    /// The first PostgreSQL connection that the poll wrote to.
    cookie: Option<SocketCookie>,
}

/// What a connection works for, and how that is known.
#[derive(Clone, Copy, Debug)]
struct Held {
    request: RequestKey,
    item: usize,
    proof: Proof,
}

#[derive(Default)]
struct Thread {
    last: Timestamp,
    read: Option<PollRead>,
    pending: Option<Pending>,
}

/// All probed applications.
#[derive(Default)]
pub(crate) struct Apps {
    threads: FxHashMap<u32, Thread>,
    requests: FxHashMap<RequestKey, AppRequest>,
    /// The query that holds a connection, from its first bytes to `db_query_end`.
    held: FxHashMap<SocketCookie, Held>,
    /// The request whose transaction is open on a connection.
    transactions: FxHashMap<SocketCookie, RequestKey>,
    /// The request that was read from a connection last.
    serving: FxHashMap<SocketCookie, RequestKey>,
    /// By exchange number.
    bindings: FxHashMap<u64, Binding>,
    /// Not every request is seen: that one of those seen fits alone says nothing.
    sampled: bool,
}

impl Apps {
    pub(crate) fn new(sampled: bool) -> Apps {
        Apps {
            sampled,
            ..Apps::default()
        }
    }

    /// A thread turned to something that is not seen: its poll is over.
    pub(crate) fn turned(&mut self, tid: u32) {
        if let Some(thread) = self.threads.get_mut(&tid) {
            (thread.read, thread.pending) = (None, None);
        }
    }

    /// A thread read from a socket. Returns the request that it read for, if that is known.
    pub(crate) fn recv(
        &mut self,
        tid: u32,
        cookie: SocketCookie,
        time: Timestamp,
    ) -> Option<Owner> {
        let thread = self.threads.entry(tid).or_default();
        thread.last = time;
        thread.read = Some(PollRead { cookie, time, tid });
        thread.end_poll_unless(cookie);
        let held = self.held.get(&cookie).map(|held| held.request);
        let serving = self.serving.get(&cookie).copied();
        let key = held.or(serving.filter(|key| self.is_open(*key)))?;
        self.owner(key, tid)
    }

    /// A thread wrote to a socket. Returns the request that it wrote for, if that is known.
    pub(crate) fn send(&mut self, tid: u32, cookie: SocketCookie) -> Option<Owner> {
        let thread = self.threads.get_mut(&tid)?;
        thread.read = None;
        match &mut thread.pending {
            Some(pending) if pending.cookie.is_none() => pending.cookie = Some(cookie),
            _ => thread.end_poll_unless(cookie),
        }
        let held = self.held.get(&cookie).map(|held| held.request);
        let pending = thread.pending.filter(|p| p.cookie == Some(cookie));
        let asks = pending.map(|pending| pending.request).or(held);
        let key = asks.or_else(|| self.serving.get(&cookie).copied())?;
        self.owner(key, tid)
    }

    /// The request as the owner of what thread `tid` does.
    pub(crate) fn owner(&mut self, key: RequestKey, tid: u32) -> Option<Owner> {
        let request = self.requests.get_mut(&key)?;
        if !request.tids.contains(&tid) {
            request.tids.push(tid);
        }
        let label = request.label.clone();
        Some(Owner { key, label })
    }

    /// The read that the request was taken from.
    pub(crate) fn read_of(&self, key: RequestKey) -> Option<PollRead> {
        self.requests.get(&key)?.read
    }

    /// A probe of the application fired. Returns the request it belongs to.
    pub(crate) fn probe(&mut self, usdt: &Usdt, time: Timestamp) -> RequestKey {
        let id = RequestId(u128::from(usdt.args[0]) << 64 | u128::from(usdt.args[1]));
        let key = (usdt.pid, id);
        let thread = self.threads.entry(usdt.tid).or_default();
        thread.last = time;
        thread.pending = None;
        let read = thread
            .read
            .take()
            .filter(|_| usdt.probe == Probe::RequestStart);
        let request = self.requests.entry(key).or_default();
        request.note(usdt, time, read);
        if let Some(read) = read {
            self.serving.insert(read.cookie, key);
        }
        match usdt.probe {
            Probe::DbQueryStart | Probe::DbAcquireStart => {
                let item = request.items.len() - 1;
                thread.pending = Some(Pending {
                    request: key,
                    item,
                    time,
                    cookie: None,
                });
            }
            Probe::DbQueryEnd => self
                .held
                .retain(|_, held| !Self::ended(&self.requests, held, time)),
            _ => {}
        }
        key
    }

    fn ended(requests: &FxHashMap<RequestKey, AppRequest>, held: &Held, now: Timestamp) -> bool {
        let item = requests
            .get(&held.request)
            .and_then(|request| request.items.get(held.item));
        item.is_none_or(|item| item.end.is_some_and(|end| end <= now))
    }

    /// A request was written in full on a PostgreSQL connection: which query is it part of?
    pub(crate) fn bind(&mut self, cookie: SocketCookie, begun: &Begun) -> Option<RequestKey> {
        let binding = self.binding(cookie, &begun.facts)?;
        if let Some(item) = binding.item.filter(|_| !begun.facts.kind.is_upkeep()) {
            let (request, proof) = (binding.request, binding.proof);
            let held = Held {
                request,
                item,
                proof,
            };
            self.held.insert(cookie, held);
            self.note_sent(&binding, &begun.facts);
        }
        let request = binding.request;
        if begun
            .facts
            .statements
            .iter()
            .any(|s| opens_transaction(&s.text))
        {
            self.transactions.insert(cookie, request);
        }
        self.bindings.insert(begun.number, binding);
        Some(request)
    }

    fn note_sent(&mut self, binding: &Binding, facts: &PgFacts) {
        let request = self.requests.get_mut(&binding.request);
        let item = request
            .zip(binding.item)
            .and_then(|(request, item)| request.items.get_mut(item));
        if let Some(item) = item {
            item.sent |= facts.kind.runs();
        }
    }

    fn binding(&self, cookie: SocketCookie, facts: &PgFacts) -> Option<Binding> {
        let poll = self.by_poll(cookie, facts);
        let hold = self.by_hold(cookie, facts);
        // Of the same query the first evidence stays: what it rests on, all that follows does.
        let first = hold
            .clone()
            .filter(|hold| poll.as_ref().is_some_and(|poll| poll.is_same(hold)));
        first
            .or(poll)
            .or(hold)
            .or_else(|| self.by_statement(cookie, facts))
            .or_else(|| self.by_transaction(cookie, facts))
    }

    /// The connection already works for a query that has not ended.
    fn by_hold(&self, cookie: SocketCookie, facts: &PgFacts) -> Option<Binding> {
        let held = *self.held.get(&cookie)?;
        let fits = facts.kind.is_upkeep() || self.fits(held.request, held.item, facts);
        fits.then_some(Binding {
            request: held.request,
            item: Some(held.item),
            proof: held.proof,
        })
    }

    /// The thread's next send after `db_query_start` (or `db_acquire_start`, for the pool's upkeep).
    fn by_poll(&self, cookie: SocketCookie, facts: &PgFacts) -> Option<Binding> {
        let pending = self
            .threads
            .get(&facts.by.tid)?
            .pending
            .filter(|p| p.cookie == Some(cookie))?;
        let item = self
            .requests
            .get(&pending.request)?
            .items
            .get(pending.item)?;
        let fits = match item.kind {
            ItemKind::Query { .. } => {
                facts.kind != PgKind::Ping && self.fits(pending.request, pending.item, facts)
            }
            _ => facts.kind.is_upkeep(),
        };
        let proof = Proof::Poll(facts.by.tid, pending.time);
        fits.then_some(Binding {
            request: pending.request,
            item: Some(pending.item),
            proof,
        })
    }

    /// The poll gives no answer: the bytes may still fit one open query, and only one.
    fn by_statement(&self, cookie: SocketCookie, facts: &PgFacts) -> Option<Binding> {
        if self.sampled || facts.statements.is_empty() {
            return None;
        }
        let owner = self.transactions.get(&cookie);
        let mut fitting = self
            .requests
            .iter()
            .filter(|(key, _)| key.0 == facts.by.pid && owner.is_none_or(|owner| owner == *key))
            .flat_map(|(key, request)| (0..request.items.len()).map(move |item| (*key, item)))
            .filter(|(key, item)| self.is_waiting(*key, *item) && self.fits(*key, *item, facts));
        let (request, item) = fitting.next()?;
        let only = fitting.next().is_none();
        only.then_some(Binding {
            request,
            item: Some(item),
            proof: Proof::Statement,
        })
    }

    fn by_transaction(&self, cookie: SocketCookie, facts: &PgFacts) -> Option<Binding> {
        let request = *self.transactions.get(&cookie)?;
        let rollback = facts
            .statements
            .iter()
            .any(|s| s.text.starts_with("ROLLBACK"));
        rollback.then_some(Binding {
            request,
            item: None,
            proof: Proof::Transaction,
        })
    }

    /// Whether the query is open and holds no connection yet.
    fn is_waiting(&self, key: RequestKey, item: usize) -> bool {
        let open = self
            .requests
            .get(&key)
            .and_then(|r| r.items.get(item))
            .is_some_and(|i| i.end.is_none());
        open && !self
            .held
            .values()
            .any(|held| (held.request, held.item) == (key, item))
    }

    /// Whether the query is open, has not run yet, and has every statement known from the bytes.
    fn fits(&self, key: RequestKey, item: usize, facts: &PgFacts) -> bool {
        let item = self
            .requests
            .get(&key)
            .filter(|request| request.end.is_none())
            .and_then(|request| request.items.get(item))
            .filter(|item| item.end.is_none() && !(item.sent && facts.kind.runs()));
        match item.map(|item| &item.kind) {
            Some(ItemKind::Query { statement, .. }) => {
                facts.statements.iter().all(|s| s.agrees(statement))
            }
            _ => false,
        }
    }

    /// An exchange on a PostgreSQL connection is finished: its binding, and what its end tells.
    pub(crate) fn release(
        &mut self,
        number: u64,
        cookie: Option<SocketCookie>,
        facts: &PgFacts,
    ) -> Option<Binding> {
        if facts.status == Some(b'I')
            && let Some(cookie) = cookie
        {
            self.transactions.remove(&cookie);
        }
        self.bindings.remove(&number)
    }

    /// The text of the query that an exchange was bound to.
    pub(crate) fn statement(&self, binding: &Binding) -> Option<&Statement> {
        match &self
            .requests
            .get(&binding.request)?
            .items
            .get(binding.item?)?
            .kind
        {
            ItemKind::Query { statement, .. } => Some(statement),
            _ => None,
        }
    }

    /// The request's record, to be built into its tree.
    pub(crate) fn take(&mut self, key: RequestKey) -> Option<AppRequest> {
        self.held.retain(|_, held| held.request != key);
        self.requests.remove(&key)
    }

    /// Whether the request has begun and not ended.
    pub(crate) fn is_open(&self, key: RequestKey) -> bool {
        self.requests
            .get(&key)
            .is_some_and(|request| request.end.is_none())
    }

    /// Forgets what threads did before `time`: a thread may be gone without a word.
    pub(crate) fn forget(&mut self, time: Timestamp) {
        self.threads.retain(|_, thread| thread.last >= time);
    }

    /// A socket is gone.
    pub(crate) fn close(&mut self, cookie: SocketCookie) {
        self.held.remove(&cookie);
        self.transactions.remove(&cookie);
        self.serving.remove(&cookie);
    }
}

impl Thread {
    fn end_poll_unless(&mut self, cookie: SocketCookie) {
        if self
            .pending
            .is_some_and(|pending| pending.cookie != Some(cookie))
        {
            self.pending = None;
        }
    }
}

fn opens_transaction(sql: &str) -> bool {
    sql.starts_with("BEGIN") || sql.starts_with("START TRANSACTION")
}
