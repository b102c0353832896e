//! Pass 3b: cuts a PostgreSQL connection's two streams into exchanges.
//!
//! An exchange runs from the first frontend message to the backend's ReadyForQuery: up to Sync in the
//! extended protocol, one Query in the simple one. Every message says its length, so both streams are
//! walked message by message; where a capture was too short for that, the last bytes of the send tell
//! (`S 0 0 0 4`, `Z 0 0 0 5 status`).

use rustc_hash::FxHashMap;
use tierscope_model::{Incomplete, Timestamp};
use tierscope_wire::postgres::{
    Backend, Frontend, Message, StartupKind, backend, frontend, ready_tail, startup, sync_tail,
};

use crate::piece::Piece;
use crate::queue::{Open, Queue, Range};
use crate::sql_text::Statement;
use crate::stream::Caller;
use crate::tally::Tally;

/// Named statements remembered per connection; beyond it they are known by what the backend reports.
const PREPARED_LIMIT: usize = 1024;
/// Completions told apart in one exchange.
const COMPLETED_LIMIT: usize = 1024;
const SYNC: u64 = 5;
const READY: u64 = 6;

/// What a frontend asked for in one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum PgKind {
    /// Connection start-up and authentication.
    Startup,
    /// Sync alone: sqlx's ping on release.
    #[default]
    Ping,
    /// Close of a prepared statement, alone.
    Close,
    /// Parse or Describe without Execute.
    Prepare,
    /// Bind and Execute.
    Query,
    /// The simple protocol.
    Simple,
}

impl PgKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            PgKind::Startup => "startup",
            PgKind::Ping => "ping",
            PgKind::Close => "close statement",
            PgKind::Prepare => "prepare",
            PgKind::Query => "query",
            PgKind::Simple => "simple query",
        }
    }

    /// Runs a statement.
    pub(crate) fn runs(self) -> bool {
        matches!(self, PgKind::Query | PgKind::Simple)
    }

    /// Keeps a connection in order; belongs to no statement.
    pub(crate) fn is_upkeep(self) -> bool {
        matches!(self, PgKind::Startup | PgKind::Ping | PgKind::Close)
    }
}

/// What the messages of an exchange say.
#[derive(Clone, Debug, Default)]
pub(crate) struct PgFacts {
    pub(crate) kind: PgKind,
    /// Texts known from the bytes; empty where the statement was prepared before tracing began.
    pub(crate) statements: Vec<Statement>,
    pub(crate) executes: u64,
    pub(crate) sqlstate: Option<String>,
    pub(crate) rows: Option<u64>,
    /// Rows of each statement that completed, the first of them.
    pub(crate) completed: Vec<Option<u64>>,
    /// ReadyForQuery's status: `I` idle, `T` in a transaction, `E` in a failed one.
    pub(crate) status: Option<u8>,
    /// Thread that wrote the first message.
    pub(crate) by: Caller,
}

/// A request that has just been written in full, for the pass that binds it to the application's query.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) number: u64,
    pub(crate) facts: PgFacts,
}

/// One PostgreSQL connection's state.
#[derive(Debug, Default)]
pub(crate) struct PgTalk {
    /// Where the next message of each stream begins, if that is known.
    asked: Option<u64>,
    answered: Option<u64>,
    batch: Option<Batch>,
    prepared: FxHashMap<String, Statement>,
    /// The answer before the next request was ended by guesswork: where the next one begins is as sure.
    inexact: bool,
    pub(crate) queue: Queue<PgFacts>,
}

#[derive(Debug)]
struct Batch {
    lo: u64,
    begun: Timestamp,
    facts: PgFacts,
}

impl PgTalk {
    /// Whether the backend's next bytes begin an answer.
    pub(crate) fn may_answer(&self) -> bool {
        self.queue
            .iter()
            .all(|open| open.response.is_none_or(|r| r.hi.is_some()))
    }

    /// Takes a frontend's send in and says which requests it completed.
    pub(crate) fn ask(
        &mut self,
        piece: &Piece<'_>,
        time: Timestamp,
        by: Caller,
        tally: &mut Tally,
    ) -> Vec<Begun> {
        let mut begun = Vec::new();
        // A frontend flushes whole messages, so a send starts one unless an earlier one reaches into it.
        let mut at = self.asked.map_or(piece.lo, |next| next.max(piece.lo));
        if let Some(first) = startup(piece.from(at)).filter(|_| at == piece.lo) {
            let end = at + first.len as u64;
            self.asked = Some(end);
            if first.kind == StartupKind::Session {
                self.begin(at, time, by).kind = PgKind::Startup;
                begun.extend(self.finish_batch(end, tally));
            }
            return begun;
        }
        for message in frontend(piece.from(at)) {
            let end = at + message.total as u64;
            if self.frontend_message(&message, at, time, by) {
                begun.extend(self.finish_batch(end, tally));
            }
            at = end;
        }
        if at + SYNC <= piece.hi && sync_tail(piece.tail_from(at)) {
            self.begin(at.min(piece.hi - SYNC), time, by);
            begun.extend(self.finish_batch(piece.hi, tally));
            at = piece.hi;
        }
        // Nothing told where the last message ends: the next send is taken to start one.
        self.asked = (at >= piece.hi).then_some(at);
        begun
    }

    /// Notes one frontend message; true where it ends the request.
    fn frontend_message(
        &mut self,
        message: &Message<'_>,
        at: u64,
        time: Timestamp,
        by: Caller,
    ) -> bool {
        let view = message.as_frontend();
        if matches!(
            view,
            Frontend::CopyData
                | Frontend::CopyDone
                | Frontend::CopyFail
                | Frontend::Password
                | Frontend::Terminate
        ) {
            return false;
        }
        let known = self.prepare(&view);
        self.begin(at, time, by).note(&view, known);
        matches!(
            view,
            Frontend::Query { .. } | Frontend::Sync | Frontend::FunctionCall
        )
    }

    /// Keeps account of the named statements; the text of the one that a Bind names, if it is known.
    fn prepare(&mut self, view: &Frontend<'_>) -> Option<Statement> {
        match view {
            Frontend::Bind { statement, .. } => return self.prepared.get(*statement).cloned(),
            Frontend::Parse {
                name,
                sql,
                sql_complete,
            } => {
                let full = self.prepared.len() >= PREPARED_LIMIT;
                if !full || self.prepared.contains_key(*name) {
                    let statement = Statement::new(sql, !sql_complete);
                    self.prepared.insert((*name).to_owned(), statement);
                }
            }
            Frontend::Close { kind: b'S', name } => {
                self.prepared.remove(*name);
            }
            _ => {}
        }
        None
    }

    fn begin(&mut self, lo: u64, begun: Timestamp, by: Caller) -> &mut PgFacts {
        let fresh = || Batch {
            lo,
            begun,
            facts: PgFacts {
                by,
                ..PgFacts::default()
            },
        };
        &mut self.batch.get_or_insert_with(fresh).facts
    }

    fn finish_batch(&mut self, hi: u64, tally: &mut Tally) -> Option<Begun> {
        let batch = self.batch.take()?;
        let mut open = Open::new(tally.next(), batch.begun, batch.facts);
        open.request = Some(Range {
            lo: batch.lo,
            gate: batch.lo,
            hi: Some(hi),
        });
        if std::mem::take(&mut self.inexact) {
            open.incomplete.push(Incomplete::MessageEnd);
        }
        let begun = Begun {
            number: open.number,
            facts: open.facts.clone(),
        };
        self.queue.push(open);
        Some(begun)
    }

    /// The client has read all there is up to `written` and asks again, while the end of an answer is
    /// still looked for: it was cut in two by the edge of a send. Both sides of the edge say so.
    pub(crate) fn end_unseen(&mut self, written: u64) {
        let Some(open) = self.queue.answering().filter(|_| self.answered.is_none()) else {
            return;
        };
        open.incomplete.push(Incomplete::MessageEnd);
        if let Some(response) = &mut open.response {
            response.hi = Some(written);
        }
        self.inexact = true;
    }

    /// Takes a backend's send in.
    pub(crate) fn answer(&mut self, piece: &Piece<'_>, time: Timestamp, tally: &mut Tally) {
        if piece.hi == piece.lo + 1 && self.queue.iter().next().is_none() {
            // The one byte that answers a request for TLS.
            return;
        }
        let start = match self.answered {
            // Wholly inside one long message.
            Some(next) if next >= piece.hi => return,
            Some(next) if next >= piece.lo => Some(next),
            _ => self.queue.answering().is_none().then_some(piece.lo),
        };
        if let Some(mut at) = start {
            for message in backend(piece.from(at)) {
                self.backend_message(&message, at, time, tally);
                at += message.total as u64;
            }
            self.answered = Some(at);
            if at >= piece.hi {
                return;
            }
        }
        self.answer_tail(piece, time, tally);
    }

    /// The walk was lost beyond the captured bytes: the tail tells whether the answer ends here.
    fn answer_tail(&mut self, piece: &Piece<'_>, time: Timestamp, tally: &mut Tally) {
        self.begin_answer(piece.lo, time, tally);
        let ready = ready_tail(piece.tail_from(piece.lo));
        self.answered = ready.map(|_| piece.hi);
        if let Some(status) = ready {
            self.end_answer(piece.hi, status);
        }
    }

    fn backend_message(
        &mut self,
        message: &Message<'_>,
        at: u64,
        time: Timestamp,
        tally: &mut Tally,
    ) {
        let view = message.as_backend();
        let unasked = matches!(
            view,
            Backend::ParameterStatus | Backend::Notice | Backend::Notification
        );
        if unasked && self.queue.answering().is_none() {
            return;
        }
        self.begin_answer(at, time, tally);
        let Some(open) = self.queue.answering() else {
            return;
        };
        match view {
            Backend::ReadyForQuery { status } => self.end_answer(at + READY, status),
            Backend::CommandComplete(tag) => {
                if open.facts.completed.len() < COMPLETED_LIMIT {
                    open.facts.completed.push(tag.rows());
                }
                if let Some(rows) = tag.rows() {
                    *open.facts.rows.get_or_insert(0) += rows;
                }
            }
            Backend::ErrorResponse { code, .. } => {
                open.facts.sqlstate.get_or_insert_with(|| code.to_owned());
            }
            _ => {}
        }
    }

    fn begin_answer(&mut self, lo: u64, time: Timestamp, tally: &mut Tally) {
        if self.queue.answering().is_some() {
            return;
        }
        self.queue
            .answer(lo, lo, || Open::new(tally.next(), time, PgFacts::default()));
    }

    /// Whether bytes before `lo` that were not seen may hold a request.
    pub(crate) fn may_hide_request(&self, lo: u64) -> bool {
        self.asked.is_none_or(|next| next < lo)
    }

    fn end_answer(&mut self, hi: u64, status: u8) {
        if let Some(open) = self.queue.answering() {
            open.facts.status = Some(status);
            if let Some(response) = &mut open.response {
                response.hi = Some(hi);
                // Sync alone is answered by ReadyForQuery alone: this request's bytes went unseen.
                if open.facts.kind == PgKind::Ping && hi.saturating_sub(response.lo) > READY {
                    open.facts.kind = PgKind::Query;
                }
            }
        }
    }
}

impl PgFacts {
    /// Notes what one frontend message asks for; `known` is the statement that a Bind names.
    fn note(&mut self, view: &Frontend<'_>, known: Option<Statement>) {
        match view {
            Frontend::Parse {
                sql, sql_complete, ..
            } => {
                self.statements.push(Statement::new(sql, !sql_complete));
                self.raise(PgKind::Prepare);
            }
            Frontend::Bind { .. } => {
                let fresh = known.filter(|s| !self.statements.contains(s));
                self.statements.extend(fresh);
                self.raise(PgKind::Query);
            }
            Frontend::Describe { .. } => self.raise(PgKind::Prepare),
            Frontend::Execute { .. } => {
                self.executes += 1;
                self.raise(PgKind::Query);
            }
            Frontend::Close { .. } => self.raise(PgKind::Close),
            Frontend::Query { sql, sql_complete } => {
                self.statements.push(Statement::new(sql, !sql_complete));
                self.raise(PgKind::Simple);
            }
            _ => {}
        }
    }

    /// The dearest kind of the messages seen counts.
    fn raise(&mut self, kind: PgKind) {
        let rank = |kind| match kind {
            PgKind::Ping => 0,
            PgKind::Close => 1,
            PgKind::Prepare => 2,
            PgKind::Query => 3,
            PgKind::Simple => 4,
            PgKind::Startup => 5,
        };
        if rank(kind) > rank(self.kind) {
            self.kind = kind;
        }
    }
}
