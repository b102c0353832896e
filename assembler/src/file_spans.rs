//! Pass 6: files and disks under the spans that they were read and written for.

use smol_str::ToSmolStr;
use tierscope_model::{Evidence, RequestId, SocketCookie, Span, SpanId, Timestamp};

use crate::app_request::{AppRequest, ItemKind};
use crate::charge::{Worked, find, worker_of};
use crate::exchange::Exchange;
use crate::files::Call;
use crate::joined;
use crate::marks::{Mark, Marks};
use crate::phase;
use crate::threads::{Interval, Threads};

/// What the application did with files in its own `file …` spans, by the probe around the call. `item` gives
/// the span of an item by its place.
pub(crate) fn of_items(
    id: RequestId,
    request: &AppRequest,
    item: impl Fn(Option<usize>) -> Option<SpanId>,
    spans: &mut Vec<Span>,
    threads: &mut Threads,
) {
    for (at, file) in request.items.iter().enumerate() {
        let is_file = matches!(file.kind, ItemKind::File { .. });
        let times = file.end.filter(|_| is_file).map(|end| (file.start, end));
        if let (Some(times), Some(span)) = (times, find(spans, item(Some(at)))) {
            let phases = threads.did(file.tid, times, |_, _| true);
            let inside = phase::spans(span, phases, |_| Evidence::Probe(id.to_smolstr()));
            spans.extend(inside);
        }
    }
}

/// The rest of what it did with files, under the handler by the threads that worked for it.
pub(crate) fn of_handler(worked: &Worked, handler: &Span, threads: &mut Threads) -> Vec<Span> {
    let mut inside = Vec::new();
    for (tid, stretches) in worked {
        let phases = threads.did_for(*tid, stretches);
        inside.extend(phase::spans(handler, phases, |phase| {
            poll(*tid, phase.start)
        }));
    }
    inside
}

/// What a server's worker did with files for this exchange and those that it `asked` for it: between two
/// of their calls on sockets, or after the last write of the answer and before any other call.
pub(crate) fn of_worker(
    exchange: &Exchange,
    asked: &[&Exchange],
    server: &Span,
    threads: &mut Threads,
) -> Vec<Span> {
    let Some(tid) = worker_of(exchange) else {
        return Vec::new();
    };
    let ours = Ours::new(exchange, asked, server);
    let until = ours.until(tid, threads);
    let phases = threads.did(tid, (server.start, until), |call, marks| {
        ours.is(call, marks)
    });
    phase::spans(server, phases, |phase| poll(tid, phase.start))
}

fn poll(tid: u32, time: Timestamp) -> Evidence {
    Evidence::Poll(joined::poll(tid, time))
}

/// The sockets of one request at one server, and when they were the request's.
struct Ours {
    sockets: Vec<(SocketCookie, Interval)>,
    last_write: Option<(SocketCookie, Timestamp)>,
}

impl Ours {
    fn new(exchange: &Exchange, asked: &[&Exchange], server: &Span) -> Ours {
        let own = exchange
            .server
            .cookie
            .map(|c| (c, (server.start, server.end)));
        let others = asked
            .iter()
            .filter_map(|x| x.client.cookie.zip(x.client_times()));
        let written = exchange.response.as_ref().and_then(|p| p.last_write);
        Ours {
            sockets: own.into_iter().chain(others).collect(),
            last_write: exchange.server.cookie.zip(written),
        }
    }

    /// No call of the request's ends after this.
    fn until(&self, tid: u32, threads: &Threads) -> Timestamp {
        let between = self.sockets.iter().map(|(_, (_, to))| *to);
        let next = |(_, written)| threads.next_mark(tid, written);
        let behind = self
            .last_write
            .map(|last| next(last).unwrap_or(Timestamp(u64::MAX)));
        between.chain(behind).max().unwrap_or(Timestamp(0))
    }

    fn holds(&self, mark: &Mark) -> bool {
        let is = |(socket, (from, to)): &(_, Interval)| {
            mark.socket == Some(*socket) && *from <= mark.time && mark.time <= *to
        };
        self.sockets.iter().any(is)
    }

    fn is(&self, call: &Call, marks: &Marks) -> bool {
        let (before, after) = marks.around(call.start, call.end);
        let Some(before) = before else { return false };
        let ends = self.last_write.is_some_and(|(socket, written)| {
            before.socket == Some(socket) && before.time <= written && written <= call.start
        });
        ends || self.holds(before) && after.is_some_and(|after| self.holds(after))
    }
}
