//! Runs the passes over a stream of events in bounded memory.

use tierscope_model::{
    Body, Event, Incomplete, Loss, Nanos, Probe, ProcessChange, RequestId, Sample, Send,
    SocketCookie, Span, Timestamp, Trace, TraceId, Usdt, attr,
};

use crate::app::{Apps, Binding, Proof, RequestKey};
use crate::backend::{Backends, Work};
use crate::checks::check;
use crate::connections::Connections;
use crate::counts::Counts;
use crate::exchange::{Exchange, Facts};
use crate::marks::Mark;
use crate::order::Order;
use crate::passage::Gaps;
use crate::postgres::{PgFacts, PgKind};
use crate::process::Processes;
use crate::requests::Requests;
use crate::statement::exchange_spans;
use crate::threads::{Owner, Threads};
use crate::tree::{self, Parts, Query};

/// Settings of an assembly.
#[derive(Clone, Debug)]
pub struct Options {
    /// A request whose answer does not come within this time is closed with an error. Nanoseconds.
    pub response_timeout: Nanos,
    /// A request is built when nothing of it was seen for this long. Nanoseconds.
    pub grace: Nanos,
    /// Events are put in order within this window. Nanoseconds.
    pub window: Nanos,
    /// Most requests held open at a time.
    pub max_requests: usize,
    /// Events that the traced kernel had no hook for, as the recording's header names them: every trace
    /// says so on its root, and what rests on them is not told.
    pub unmeasured: Vec<String>,
    /// The requests that the recording holds, as its header says; none: all. Of the others it may hold
    /// remains: they make no trace.
    pub sample: Option<Sample>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            response_timeout: 30_000_000_000,
            grace: 1_000_000_000,
            window: 200_000_000,
            max_requests: 100_000,
            unmeasured: Vec::new(),
            sample: None,
        }
    }
}

/// What the assembler makes.
#[derive(Clone, Debug, PartialEq)]
pub enum Assembled {
    /// A request's trace.
    Request(Trace),
    /// What belongs to no request: connection upkeep (named so), and database exchanges that could
    /// not be joined to one (orphans).
    Apart(Trace),
}

/// Takes events in, in about the order of time, and gives traces out.
pub struct Assembler {
    options: Options,
    order: Order,
    processes: Processes,
    connections: Connections,
    apps: Apps,
    backends: Backends,
    threads: Threads,
    requests: Requests,
    losses: Vec<Loss>,
    counts: Counts,
    finished: Vec<Box<Exchange>>,
    out: Vec<Assembled>,
    swept: Timestamp,
    now: Timestamp,
    /// The longest that a request is held open. Nanoseconds.
    patience: Nanos,
}

/// How often overdue things are looked for, in event time.
const SWEEP: Nanos = 100_000_000;

impl Assembler {
    /// `services` are the recording's, in its order; `host` is the traced host's name.
    pub fn new(services: Vec<String>, host: String, options: Options) -> Assembler {
        let patience = options.response_timeout + 2 * options.grace;
        let gaps = Gaps::of(&options.unmeasured);
        let sampled = options.sample.is_some();
        // The kernel holds what comes before a request's id is known until it is.
        let window = match sampled {
            true => options.window.max(options.response_timeout),
            false => options.window,
        };
        Assembler {
            order: Order::new(window),
            processes: Processes::new(services, host, gaps),
            connections: Connections::new(gaps, sampled),
            apps: Apps::new(sampled),
            backends: Backends::default(),
            threads: Threads::default(),
            requests: Requests::new(options.grace, patience, options.max_requests),
            losses: Vec::new(),
            counts: Counts::default(),
            finished: Vec::new(),
            out: Vec::new(),
            swept: Timestamp(0),
            now: Timestamp(0),
            patience,
            options,
        }
    }

    /// Takes one event in.
    pub fn push(&mut self, event: Event) {
        self.counts.events += 1;
        self.order.push(event);
        while let Some(event) = self.order.pop_ready() {
            self.handle(event);
        }
    }

    /// What is done so far, in the order in which it was finished.
    pub fn take(&mut self) -> Vec<Assembled> {
        std::mem::take(&mut self.out)
    }

    /// The recording ended: everything still open is built as incomplete.
    pub fn finish(mut self) -> (Vec<Assembled>, Counts) {
        while let Some(event) = self.order.pop() {
            self.handle(event);
        }
        self.connections.finish(self.now, &mut self.finished);
        self.place_finished();
        for parts in self.requests.take_all(&mut self.apps) {
            self.build(parts);
        }
        self.counts.late_events = self.order.late;
        self.counts.unknown_socket_events = self.connections.unknown;
        let tally = self.connections.tally;
        self.counts.http_messages = tally.http_parsed;
        self.counts.http_unparsed = tally.http_unparsed;
        self.counts.unasked = tally.unasked;
        self.counts.retransmits_after_read = tally.retransmits_after_read;
        self.threads.finish();
        self.counts.files_apart = self.threads.files_apart;
        self.counts.disk_requests_apart = self.threads.blocks_apart;
        let threads = self.threads.over_budget + self.threads.paths.over_budget;
        let kept = self.requests.over_budget + self.backends.over_budget + threads;
        self.counts.over_budget = tally.over_budget + kept;
        (self.out, self.counts)
    }

    fn handle(&mut self, event: Event) {
        let time = event.time;
        self.now = self.now.max(time);
        match event.body {
            Body::Socket(socket) => self.connections.socket(&socket, time, &mut self.finished),
            Body::Send(send) => self.send(&send, time),
            Body::Recv(recv) => {
                let owner = self.apps.recv(recv.tid, recv.cookie, time);
                self.note(recv.tid, time, Some(recv.cookie), owner, time);
                if let Some(arrival) = &recv.arrival {
                    self.connections.arrive(arrival);
                }
                self.connections.recv(&recv, time, &mut self.finished);
            }
            Body::Arrive(arrive) => self.connections.arrive(&arrive),
            Body::Retransmit(retransmit) => self.connections.retransmit(&retransmit, time),
            Body::Close(close) => self.close(close.cookie, time),
            Body::Usdt(usdt) => self.probe(usdt, time),
            Body::Process(process) => {
                if process.change == ProcessChange::Exit {
                    self.backends.exited(process.pid);
                }
                self.processes.change(&process, time);
            }
            Body::Switch(switch) => {
                self.counts.unseen_returns += u64::from(switch.unseen);
                self.threads.switch(time, switch);
            }
            Body::File(file) => self.threads.file(&file, time),
            Body::FileName(name) => self.threads.paths.name(name),
            Body::Stack(stack) => self.threads.paths.stack(&stack),
            Body::Block(block) => self.threads.block(&block, time),
            Body::Buffers(buffers) => self.backends.buffers(buffers, time),
            Body::Loss(loss) => {
                self.threads.loss(loss.first, loss.last);
                self.counts.lost_events += loss.count;
                self.losses.push(loss);
            }
            Body::Transmit(transmit) => {
                self.connections
                    .transmit(&transmit, time, &mut self.finished);
            }
            Body::Dropped(dropped) => self.connections.dropped(&dropped, time),
            Body::Accepted(accepted) => self.connections.accepted(&accepted, time),
            Body::Skipped(skipped) => self.connections.skipped(&skipped),
            Body::Turned(turned) => {
                self.apps.turned(turned.tid);
                self.note(turned.tid, time, None, None, time);
                self.threads.turned(turned.tid, time);
            }
            Body::Filtered(_) => {}
        }
        self.place_finished();
        self.build_ready();
        self.sweep();
    }

    fn send(&mut self, send: &Send, time: Timestamp) {
        let owner = self.apps.send(send.tid, send.cookie);
        self.note(send.tid, send.start, Some(send.cookie), owner, time);
        let begun = self.connections.send(send, time, &mut self.finished);
        for begun in begun {
            if let Some(request) = self.apps.bind(send.cookie, &begun) {
                self.requests.app(request, time);
            }
        }
    }

    fn close(&mut self, cookie: SocketCookie, time: Timestamp) {
        self.apps.close(cookie);
        self.connections.close(cookie, time, &mut self.finished);
    }

    fn probe(&mut self, usdt: Usdt, time: Timestamp) {
        if usdt.probe.is_application() {
            let request = self.apps.probe(&usdt, time);
            self.requests.app(request, time);
            self.note_probe(&usdt, request, time);
        } else {
            self.threads.seen(usdt.tid, time);
            self.backends.probe(usdt, time);
        }
    }

    fn note_probe(&mut self, usdt: &Usdt, request: RequestKey, time: Timestamp) {
        let owner = self.apps.owner(request, usdt.tid);
        let begins = usdt.probe == Probe::RequestStart;
        let read = self.apps.read_of(request).filter(|_| begins);
        if let (Some(read), Some(owner)) = (read, &owner) {
            self.threads.adopt_read(usdt.tid, read.cookie, owner);
        }
        let mark = Mark {
            time,
            socket: None,
            owner,
            // The application does a file's I/O on one thread, in one call.
            held: usdt.probe == Probe::FileIoStart,
        };
        self.threads.mark(usdt.tid, mark, time);
    }

    /// Thread `tid` called at `time` and was back in the process at `until`.
    fn note(
        &mut self,
        tid: u32,
        time: Timestamp,
        socket: Option<SocketCookie>,
        owner: Option<Owner>,
        until: Timestamp,
    ) {
        let mark = Mark {
            time,
            socket,
            owner,
            held: false,
        };
        self.threads.mark(tid, mark, until);
    }

    fn place_finished(&mut self) {
        if self.finished.is_empty() {
            return;
        }
        let mut finished = std::mem::take(&mut self.finished);
        for exchange in finished.drain(..) {
            self.place(exchange);
        }
        self.finished = finished;
    }

    fn place(&mut self, exchange: Box<Exchange>) {
        self.counts.unanswered += u64::from(exchange.incomplete.contains(&Incomplete::NoResponse));
        match &exchange.facts {
            Facts::Http(_) => self.place_http(exchange),
            Facts::Postgres(facts) => {
                let (binding, work) = self.bind(&exchange, facts);
                self.place_query(exchange, binding, work);
            }
        }
    }

    fn place_http(&mut self, exchange: Box<Exchange>) {
        match self.id_of(&exchange) {
            Some(id) => self.requests.exchange(id, exchange, self.now),
            None => self.build(Parts {
                id: None,
                exchanges: vec![exchange],
                queries: Vec::new(),
                apps: Vec::new(),
                incomplete: Vec::new(),
            }),
        }
    }

    /// The id that keys the request. A request's own header is believed only from a process that
    /// serves others itself: what a client outside chose keys nothing, nor does its echo.
    fn id_of(&self, exchange: &Exchange) -> Option<RequestId> {
        let facts = exchange.http()?;
        let inner = exchange
            .client
            .pid
            .is_some_and(|pid| self.connections.is_server(pid));
        let given = facts
            .answered_id
            .filter(|id| inner || facts.asked_id != Some(*id));
        facts.asked_id.filter(|_| inner).or(given)
    }

    /// The query that asked for the exchange, and what the backend did for it.
    fn bind(&mut self, exchange: &Exchange, facts: &PgFacts) -> (Option<Binding>, Work) {
        let (number, cookie) = (exchange.number, exchange.client.cookie);
        let binding = self.apps.release(number, cookie, facts);
        let work = match (exchange.server.pid, exchange.server_times()) {
            (Some(pid), Some(times)) => self.backends.take(pid, times, &mut self.threads),
            _ => Work::default(),
        };
        let binding = binding.filter(|binding| {
            // What the backend says it ran must be what the application says it asked.
            let reported = work
                .statement
                .as_ref()
                .filter(|_| facts.kind == PgKind::Query);
            let asked = self.apps.statement(binding);
            !matches!((reported, asked), (Some(ran), Some(asked)) if !ran.agrees(asked))
        });
        (binding, work)
    }

    fn place_query(&mut self, exchange: Box<Exchange>, binding: Option<Binding>, work: Work) {
        let Some(binding) = binding else {
            return self.set_apart(exchange, work);
        };
        let query = Query {
            exchange,
            binding,
            work,
        };
        self.requests.query(query, self.now);
    }

    fn set_apart(&mut self, exchange: Box<Exchange>, work: Work) {
        let Some(kind) = exchange.postgres().map(|facts| facts.kind) else {
            return;
        };
        let mut spans: Vec<Span> = Vec::new();
        exchange_spans(
            &exchange,
            work,
            None,
            &mut self.processes,
            &self.threads,
            &mut self.counts,
            &mut spans,
        );
        let Some(first) = spans.first() else { return };
        let trace_id = TraceId(u128::from(first.span_id.0));
        let mut incomplete = exchange.incomplete;
        let endpoint = if kind.is_upkeep() {
            self.counts.upkeep_exchanges += 1;
            format!("connection upkeep: {}", kind.name())
        } else {
            self.counts.orphan_spans += spans.iter().filter(|s| s.parent.is_none()).count() as u64;
            incomplete.push(Incomplete::Orphan);
            "database exchange without a request".to_owned()
        };
        self.out.push(Assembled::Apart(Trace {
            trace_id,
            request_id: None,
            endpoint,
            incomplete,
            spans,
        }));
    }

    fn sweep(&mut self) {
        if self.now.since(self.swept) < SWEEP {
            return;
        }
        self.swept = self.now;
        self.connections
            .sweep(self.now, self.options.response_timeout, &mut self.finished);
        self.place_finished();
        self.forget();
    }

    /// One by one, as each falls due: whoever takes them finds them in the CPU's cache.
    fn build_ready(&mut self) {
        while self.requests.is_due(self.now) {
            let (apps, connections) = (&mut self.apps, &self.connections);
            if let Some(parts) = self.requests.take_due(self.now, apps, connections) {
                self.build(parts);
            }
        }
    }

    /// Forgets what no open request can reach back to.
    fn forget(&mut self) {
        let horizon = self.now - 2 * self.patience;
        self.losses.retain(|loss| loss.last >= horizon);
        self.apps.forget(horizon);
        let open = self.requests.oldest().into_iter();
        let open = open.chain(self.connections.oldest()).min();
        let begun = open.unwrap_or(self.now).min(self.now - self.options.grace);
        self.threads.forget(begun.max(horizon));
        self.processes.forget(horizon);
    }

    fn build(&mut self, mut parts: Parts) {
        if !self.is_in_sample(&parts) {
            self.counts.sampled_out += 1;
            return;
        }
        if self.options.sample.is_some() && parts.lacks_query() {
            parts.incomplete.push(Incomplete::Orphan);
        }
        let lossy = parts
            .times()
            .is_some_and(|(start, end)| self.lost_between(start, end));
        if lossy {
            parts.incomplete.push(Incomplete::EventLoss);
            self.set_doubtful_apart(&mut parts);
        }
        let mut trace = tree::build(
            parts,
            &mut self.processes,
            &mut self.threads,
            &mut self.counts,
        );
        if trace.spans.is_empty() {
            return;
        }
        self.say_unmeasured(&mut trace);
        self.counts.traces += 1;
        self.counts.conservation_violations += check(&trace).len() as u64;
        self.out.push(Assembled::Request(trace));
    }

    /// What has no id is not chosen by it.
    fn is_in_sample(&self, parts: &Parts) -> bool {
        let both = self.options.sample.zip(parts.id);
        both.is_none_or(|(sample, id)| sample.keeps(id))
    }

    fn say_unmeasured(&self, trace: &mut Trace) {
        let events = self.options.unmeasured.iter();
        let words: Vec<String> = events.map(|e| format!("{e}: not measured")).collect();
        if let Some(root) = trace.spans.first_mut().filter(|_| !words.is_empty()) {
            root.attributes.set(attr::NOT_MEASURED, words.join("; "));
        }
    }

    /// A poll tells of a query only if nothing between its probe and its send was lost; what a
    /// statement or a transaction tells, only if nothing of the request was: another query that fits as
    /// well may not have been seen.
    fn set_doubtful_apart(&mut self, parts: &mut Parts) {
        let queries = std::mem::take(&mut parts.queries);
        for query in queries {
            let doubtful = match query.binding.proof {
                Proof::Poll(_, time) => self.lost_between(time, query.exchange.begun),
                Proof::Statement | Proof::Transaction => true,
            };
            if doubtful {
                self.set_apart(query.exchange, query.work);
            } else {
                parts.queries.push(query);
            }
        }
    }

    /// Lost events may have been any open trace's.
    fn lost_between(&self, start: Timestamp, end: Timestamp) -> bool {
        self.losses
            .iter()
            .any(|loss| loss.first <= end && start <= loss.last)
    }
}
