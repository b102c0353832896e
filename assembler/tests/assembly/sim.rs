//! Many requests at once through client, nginx, app and PostgreSQL, and the truth about each byte of them.

use std::collections::{HashSet, VecDeque};

use tierscope_model::{Body, Event, Probe, Protocol, RequestId, SocketCookie};

use crate::common::messages::*;
use crate::common::world::{APP, CLIENT, Conn, NGINX, POSTGRES, World};

const STATEMENTS: [&str; 3] = [
    "SELECT name FROM users WHERE id = $1",
    "SELECT total FROM orders WHERE id = $1",
    "UPDATE products SET stock = stock - $1",
];

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub lanes: usize,
    /// Requests per lane.
    pub requests: usize,
    /// Most requests written before an answer is read.
    pub pipeline: u64,
    pub capture: usize,
    /// First sequence number of each stream.
    pub seq: u32,
    pub disorder: bool,
    /// One event in so many is lost; 0: none.
    pub loss: u64,
}

/// Bytes of one request's message.
#[derive(Debug)]
struct Message {
    from: SocketCookie,
    to: SocketCookie,
    lo: u32,
    len: u32,
    id: u128,
}

/// What happened, and what of it was seen.
#[derive(Debug)]
pub struct Outcome {
    pub events: Vec<Event>,
    pub requests: usize,
    /// Exchanges with PostgreSQL, by request number from 1.
    pub queries: Vec<usize>,
    messages: Vec<Message>,
}

impl Outcome {
    /// The request that the bytes of a `seq` evidence belong to; panics where they are two requests'.
    pub fn owner(&self, evidence: &str) -> u128 {
        let (sockets, range) = evidence.split_once(':').expect("a colon");
        let (from, to) = sockets.split_once('>').expect("an arrow");
        let (lo, hi) = range.split_once('-').expect("a dash");
        let number = |text: &str| text.parse::<u64>().expect("a number");
        let (from, to) = (SocketCookie(number(from)), SocketCookie(number(to)));
        let (lo, hi) = (number(lo) as u32, number(hi) as u32);
        let holds =
            |m: &&Message, at: u32| (m.from == from || m.to == to) && at.wrapping_sub(m.lo) < m.len;
        let of = |at: u32| self.messages.iter().find(|m| holds(m, at)).map(|m| m.id);
        assert_eq!(
            of(lo),
            of(hi.wrapping_sub(1)),
            "{evidence} is of one request"
        );
        of(lo).unwrap_or_else(|| panic!("{evidence} is of some request"))
    }
}

/// What a lane does next: each is one poll, in which its thread does nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    ClientAsks,
    NginxAsks,
    AppBegins,
    BackendAnswers,
    AppGoesOn,
    NginxAnswers,
    ClientReads,
    Done,
}

struct Lane {
    front: Conn,
    back: Conn,
    step: Step,
    left: usize,
    /// Written by the client, not answered yet.
    waiting: VecDeque<u128>,
    database: Option<(usize, Conn)>,
    /// Queries still to run, the one under way first; true once it is prepared.
    queries: VecDeque<usize>,
    prepared: bool,
}

pub struct Sim {
    world: World,
    plan: Plan,
    rng: u64,
    lanes: Vec<Lane>,
    pool: Vec<(usize, Conn)>,
    /// Connection and statement.
    statements: HashSet<(usize, usize)>,
    outcome: Outcome,
}

/// Runs the plan to its end.
pub fn run(plan: &Plan) -> Outcome {
    let mut sim = Sim::new(plan.clone());
    while sim.lanes.iter().any(|lane| lane.step != Step::Done) {
        let at = sim.below(sim.lanes.len() as u64) as usize;
        sim.step(at);
    }
    let Sim {
        world,
        mut outcome,
        mut rng,
        plan,
        ..
    } = sim;
    outcome.events = lose(world, plan.loss, &mut rng);
    outcome
}

/// Takes one event in `share` out, and says so as the tracer would.
fn lose(world: World, share: u64, rng: &mut u64) -> Vec<Event> {
    if share == 0 {
        return world.events;
    }
    let mut seen = World::new();
    for event in world.events {
        let kept = matches!(event.body, Body::Socket(_)) || !next(rng).is_multiple_of(share);
        seen.now = event.time.0 - seen.step;
        match kept {
            true => seen.push(event.body),
            false => seen.loss(event.time.0, event.time.0),
        }
    }
    seen.events
}

fn next(rng: &mut u64) -> u64 {
    *rng = rng
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *rng >> 33
}

impl Sim {
    fn new(plan: Plan) -> Sim {
        let mut world = World::new();
        world.capture = plan.capture;
        world.disorder = plan.disorder;
        let seq = [plan.seq, plan.seq.wrapping_add(77)];
        let http = [Protocol::Http; 2];
        let lane = |world: &mut World| Lane {
            front: world.connect([CLIENT, NGINX], http, seq),
            back: world.connect([NGINX, APP], http, seq),
            step: Step::ClientAsks,
            left: plan.requests,
            waiting: VecDeque::new(),
            database: None,
            queries: VecDeque::new(),
            prepared: false,
        };
        let lanes: Vec<Lane> = (0..plan.lanes).map(|_| lane(&mut world)).collect();
        let protocols = [Protocol::PostgresFrontend, Protocol::PostgresBackend];
        let pool = (0..2)
            .map(|at| {
                (
                    at,
                    world.connect([APP, POSTGRES + at as u32], protocols, seq),
                )
            })
            .collect();
        let outcome = Outcome {
            events: Vec::new(),
            requests: 0,
            queries: Vec::new(),
            messages: Vec::new(),
        };
        Sim {
            world,
            rng: plan.seed,
            lanes,
            pool,
            statements: HashSet::new(),
            outcome,
            plan,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        next(&mut self.rng) % limit
    }

    /// One of the app's threads.
    fn thread(&mut self) -> u32 {
        APP + self.below(2) as u32
    }

    fn step(&mut self, at: usize) {
        match self.lanes[at].step {
            Step::ClientAsks => self.client_asks(at),
            Step::NginxAsks => self.nginx_asks(at),
            Step::AppBegins => self.app_begins(at),
            Step::BackendAnswers => self.backend_answers(at),
            Step::AppGoesOn => self.app_goes_on(at),
            Step::NginxAnswers => self.nginx_answers(at),
            Step::ClientReads => self.client_reads(at),
            Step::Done => {}
        }
    }

    /// Writes `bytes` in one to three sends and notes whose they are.
    fn write(&mut self, conn: &mut Conn, end: usize, tid: u32, bytes: &[u8], id: u128) {
        let (lo, len) = (conn.written[end], bytes.len() as u32);
        let (from, to) = (conn.cookies[end], conn.cookies[1 - end]);
        self.outcome.messages.push(Message {
            from,
            to,
            lo,
            len,
            id,
        });
        let mut cuts: Vec<usize> = Vec::new();
        if conn.protocols[end] != Protocol::PostgresFrontend && self.world.capture == usize::MAX {
            cuts = (0..self.below(3))
                .map(|_| 1 + self.below(bytes.len() as u64 - 6) as usize)
                .collect();
            cuts.sort_unstable();
            cuts.dedup();
        }
        let mut at = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            self.world.write(conn, end, tid, &bytes[at..cut]);
            at = cut;
        }
    }

    fn client_asks(&mut self, at: usize) {
        let burst = (1 + self.below(self.plan.pipeline)).min(self.lanes[at].left as u64);
        let mut front = self.lanes[at].front.clone();
        for _ in 0..burst {
            self.outcome.requests += 1;
            self.outcome.queries.push(0);
            let id = self.outcome.requests as u128;
            let body = "x".repeat(self.below(40) as usize);
            let ask = format!(
                "POST /r/{id} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            self.write(&mut front, 0, CLIENT, ask.as_bytes(), id);
            self.lanes[at].waiting.push_back(id);
        }
        self.lanes[at].left -= burst as usize;
        self.lanes[at].front = front;
        self.lanes[at].step = Step::NginxAsks;
    }

    fn nginx_asks(&mut self, at: usize) {
        let id = self.lanes[at].waiting[0];
        let (mut front, mut back) = (self.lanes[at].front.clone(), self.lanes[at].back.clone());
        if front.read[0] != front.written[0] {
            self.world.read(&mut front, 1, NGINX);
        }
        let ask = format!(
            "POST /r/{id} HTTP/1.1\r\nX-Request-ID: {}\r\nContent-Length: 0\r\n\r\n",
            RequestId(id)
        );
        self.write(&mut back, 0, NGINX, ask.as_bytes(), id);
        (self.lanes[at].front, self.lanes[at].back) = (front, back);
        self.lanes[at].step = Step::AppBegins;
    }

    fn app_begins(&mut self, at: usize) {
        let (tid, id) = (self.thread(), RequestId(self.lanes[at].waiting[0]));
        let mut back = self.lanes[at].back.clone();
        self.world.read(&mut back, 1, tid);
        self.lanes[at].back = back;
        self.world.app(tid, Probe::RequestStart, id, [0; 2], "POST");
        let queries = self.below(4);
        if queries > 0 && !self.pool.is_empty() {
            let picked = self.below(self.pool.len() as u64) as usize;
            self.lanes[at].database = Some(self.pool.remove(picked));
            self.lanes[at].queries = (0..queries).map(|_| self.below(3) as usize).collect();
            self.begin_query(at, tid);
        } else {
            self.app_answers(at, tid);
        }
    }

    fn begin_query(&mut self, at: usize, tid: u32) {
        let id = RequestId(self.lanes[at].waiting[0]);
        let statement = self.lanes[at].queries[0];
        self.world
            .app(tid, Probe::DbQueryStart, id, [0; 2], STATEMENTS[statement]);
        let conn = self.lanes[at]
            .database
            .as_ref()
            .map(|d| d.0)
            .expect("it has a connection");
        self.lanes[at].prepared = self.statements.contains(&(conn, statement));
        self.ask_database(at, tid);
    }

    /// Writes Parse or Bind, as the connection stands.
    fn ask_database(&mut self, at: usize, tid: u32) {
        let lane = &mut self.lanes[at];
        let (id, statement) = (lane.waiting[0], lane.queries[0]);
        let name = format!("s{statement}");
        let ask = if lane.prepared {
            crate::common::messages::run(&name)
        } else {
            prepare(&name, STATEMENTS[statement])
        };
        let (number, mut conn) = lane.database.clone().expect("it has a connection");
        self.write(&mut conn, 0, tid, &ask, id);
        self.outcome.queries[id as usize - 1] += 1;
        self.lanes[at].database = Some((number, conn));
        self.lanes[at].step = Step::BackendAnswers;
    }

    fn backend_answers(&mut self, at: usize) {
        let (number, mut conn) = self.lanes[at]
            .database
            .clone()
            .expect("it has a connection");
        let (id, statement, prepared) = (
            self.lanes[at].waiting[0],
            self.lanes[at].queries[0],
            self.lanes[at].prepared,
        );
        let backend = conn.pids[1];
        self.world.read(&mut conn, 1, backend);
        self.world.usdt(
            (backend, backend),
            Probe::PgExecuteStart,
            [0; 6],
            STATEMENTS[statement],
        );
        self.world
            .usdt((backend, backend), Probe::PgExecuteDone, [0; 6], "");
        let size = self.below(900) as usize;
        let answer = if prepared {
            rows(1, size)
        } else {
            crate::common::messages::prepared()
        };
        self.write(&mut conn, 1, backend, &answer, id);
        self.statements.insert((number, statement));
        self.lanes[at].database = Some((number, conn));
        self.lanes[at].step = Step::AppGoesOn;
    }

    fn app_goes_on(&mut self, at: usize) {
        let tid = self.thread();
        let id = RequestId(self.lanes[at].waiting[0]);
        let (number, mut conn) = self.lanes[at]
            .database
            .clone()
            .expect("it has a connection");
        self.world.read(&mut conn, 0, tid);
        self.lanes[at].database = Some((number, conn.clone()));
        if !self.lanes[at].prepared {
            self.lanes[at].prepared = true;
            return self.ask_database(at, tid);
        }
        self.world.app(tid, Probe::DbQueryEnd, id, [0, 1], "");
        self.lanes[at].queries.pop_front();
        if self.lanes[at].queries.is_empty() {
            self.pool.push((number, conn));
            self.lanes[at].database = None;
            self.app_answers(at, tid);
        } else {
            self.begin_query(at, tid);
        }
    }

    fn app_answers(&mut self, at: usize, tid: u32) {
        let id = self.lanes[at].waiting[0];
        self.world
            .app(tid, Probe::RequestEnd, RequestId(id), [200, 0], "");
        let mut back = self.lanes[at].back.clone();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nX-Request-ID: {}\r\nContent-Length: 2\r\n\r\nok",
            RequestId(id)
        );
        self.write(&mut back, 1, tid, answer.as_bytes(), id);
        self.lanes[at].back = back;
        self.lanes[at].step = Step::NginxAnswers;
    }

    fn nginx_answers(&mut self, at: usize) {
        let id = self.lanes[at]
            .waiting
            .pop_front()
            .expect("it is being answered");
        let (mut front, mut back) = (self.lanes[at].front.clone(), self.lanes[at].back.clone());
        self.world.read(&mut back, 0, NGINX);
        let chunks = "HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n";
        let fixed = "HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\nContent-Length: 8\r\n\r\nabcdefgh";
        let whole = self.world.capture == usize::MAX || self.below(2) == 0;
        let answer = if whole { fixed } else { chunks }.replace("{id}", &RequestId(id).to_string());
        self.write(&mut front, 1, NGINX, answer.as_bytes(), id);
        (self.lanes[at].front, self.lanes[at].back) = (front, back);
        self.lanes[at].step = if self.lanes[at].waiting.is_empty() {
            Step::ClientReads
        } else {
            Step::NginxAsks
        };
    }

    fn client_reads(&mut self, at: usize) {
        let mut front = self.lanes[at].front.clone();
        self.world.read(&mut front, 0, CLIENT);
        self.lanes[at].front = front;
        self.lanes[at].step = if self.lanes[at].left == 0 {
            Step::Done
        } else {
            Step::ClientAsks
        };
    }
}
