//! PostgreSQL connections: how exchanges are cut, and bound to the application's queries.

use tierscope_assembler::Counts;
use tierscope_model::{Incomplete, Probe, RequestId, Span, Status, Trace, attr};

use crate::common::messages::*;
use crate::common::world::{APP, Conn, POSTGRES, World};

const USERS: &str = "SELECT name FROM users WHERE id = $1";
const ORDERS: &str = "SELECT total FROM orders WHERE id = $1";

/// An application with one connection to PostgreSQL.
struct App {
    world: World,
    conn: Conn,
}

impl App {
    fn new() -> App {
        let mut world = World::new();
        let conn = world.postgres([APP, POSTGRES]);
        App { world, conn }
    }

    fn start(&mut self, id: u128) {
        self.world
            .app(APP, Probe::RequestStart, RequestId(id), [0; 2], "GET");
    }

    fn end(&mut self, id: u128) {
        self.world
            .app(APP, Probe::RequestEnd, RequestId(id), [200, 0], "");
    }

    fn query(&mut self, id: u128, sql: &str) {
        self.world
            .app(APP, Probe::DbQueryStart, RequestId(id), [0; 2], sql);
    }

    fn done(&mut self, id: u128) {
        self.world
            .app(APP, Probe::DbQueryEnd, RequestId(id), [0, 1], "");
    }

    fn ask(&mut self, bytes: &[u8]) {
        self.world.say(&mut self.conn, 0, bytes);
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.world.say(&mut self.conn, 1, bytes);
    }

    /// The backend says which statement it runs, by this probe.
    fn report(&mut self, probe: Probe, sql: &str) {
        self.world.usdt((POSTGRES, POSTGRES), probe, [0; 6], sql);
    }

    /// A request that runs `sql` by `ask`, answered by `answer`.
    fn request(&mut self, id: u128, sql: &str, ask: &[u8], answer: &[u8]) {
        self.start(id);
        self.query(id, sql);
        self.ask(ask);
        self.answer(answer);
        self.done(id);
        self.end(id);
    }

    fn assemble(self) -> (Vec<Trace>, Counts) {
        self.world.assemble()
    }
}

/// The application's side of the exchanges in a trace: what kind, under what.
fn exchanges(trace: &Trace) -> Vec<(&str, &str)> {
    let parent = |span: &Span| {
        let parent = trace
            .spans
            .iter()
            .find(|s| Some(s.span_id) == span.parent_id());
        parent.map_or("nothing", |s| s.name.as_str())
    };
    let is_exchange = |span: &&Span| {
        span.attributes.get(attr::DB_EXCHANGE).is_some()
            && span.attributes.get(attr::REQUEST_RANGE).is_some()
    };
    trace
        .spans
        .iter()
        .filter(is_exchange)
        .map(|span| (span.name.as_str(), parent(span)))
        .collect()
}

fn of(traces: &[Trace], id: u128) -> &Trace {
    traces
        .iter()
        .find(|t| t.request_id == Some(RequestId(id)))
        .expect("the request has a trace")
}

fn apart(traces: &[Trace]) -> Vec<&str> {
    traces
        .iter()
        .filter(|t| t.request_id.is_none())
        .map(|t| t.endpoint.as_str())
        .collect()
}

const ORPHAN: &str = "database exchange without a request";

#[test]
fn simple_and_extended_queries() {
    let mut app = App::new();
    app.request(
        1,
        "BEGIN",
        &simple("BEGIN"),
        &[complete("BEGIN"), ready(b'T')].concat(),
    );
    app.start(2);
    app.query(2, USERS);
    app.ask(&prepare("s1", USERS));
    app.answer(&prepared());
    app.ask(&run("s1"));
    app.answer(&rows(3, 10));
    app.done(2);
    app.end(2);
    let (traces, counts) = app.assemble();
    assert_eq!(exchanges(of(&traces, 1)), [("simple query", "db query")]);
    assert_eq!(
        exchanges(of(&traces, 2)),
        [("prepare", "db query"), ("query", "db query")]
    );
    let query = of(&traces, 2)
        .spans
        .iter()
        .rfind(|s| s.name == "query")
        .expect("it is there");
    assert_eq!(
        query.attributes.int(attr::DB_RESPONSE_RETURNED_ROWS),
        Some(3)
    );
    assert_eq!(
        query.attributes.text(attr::DB_QUERY_SUMMARY),
        Some("SELECT users")
    );
    assert_eq!(counts.orphan_spans, 0);
}

#[test]
fn a_statement_prepared_before_tracing_has_the_backends_text() {
    has_the_backends_text(Probe::PgExecuteStart);
    has_the_backends_text(Probe::PgStatementStatus);
}

fn has_the_backends_text(probe: Probe) {
    let mut app = App::new();
    app.start(1);
    app.query(1, USERS);
    app.ask(&run("s1"));
    app.report(probe, USERS);
    app.answer(&rows(1, 10));
    app.done(1);
    app.end(1);
    let (traces, _) = app.assemble();
    let text =
        |s: &&Span| s.name == "query" && s.attributes.text(attr::DB_QUERY_TEXT) == Some(USERS);
    assert_eq!(
        of(&traces, 1).spans.iter().filter(text).count(),
        2,
        "both ends"
    );
}

#[test]
fn what_the_backend_ran_must_be_what_was_asked() {
    let mut app = App::new();
    app.start(1);
    app.query(1, USERS);
    app.ask(&run("s1"));
    app.report(Probe::PgExecuteStart, ORDERS);
    app.answer(&rows(1, 10));
    app.done(1);
    app.end(1);
    let (traces, counts) = app.assemble();
    assert_eq!(exchanges(of(&traces, 1)), []);
    assert_eq!((apart(&traces), counts.orphan_spans), (vec![ORPHAN], 1));
}

#[test]
fn pipelined_executes_are_one_exchange_that_says_so() {
    let mut app = App::new();
    let ask = [bind("s1"), execute(), bind("s1"), execute(), sync()].concat();
    let answer = [complete("SELECT 2"), complete("SELECT 3"), ready(b'I')].concat();
    app.request(1, USERS, &ask, &answer);
    let (traces, _) = app.assemble();
    let query = of(&traces, 1)
        .spans
        .iter()
        .find(|s| s.name == "query")
        .expect("it is there");
    assert_eq!(query.attributes.int("tierscope.db.executes"), Some(2));
    assert_eq!(
        query.attributes.int(attr::DB_RESPONSE_RETURNED_ROWS),
        Some(5)
    );
}

#[test]
fn several_syncs_in_one_send_are_several_exchanges() {
    let mut app = App::new();
    let ask = [close("s0"), sync(), prepare("s1", USERS)].concat();
    let answer = [message(b'3', b""), ready(b'I'), prepared()].concat();
    app.start(1);
    app.query(1, USERS);
    app.ask(&ask);
    app.answer(&answer);
    app.ask(&run("s1"));
    app.answer(&rows(1, 1));
    app.done(1);
    app.end(1);
    let (traces, counts) = app.assemble();
    let wanted = [
        ("close statement", "db query"),
        ("prepare", "db query"),
        ("query", "db query"),
    ];
    assert_eq!(exchanges(of(&traces, 1)), wanted);
    assert_eq!(counts.upkeep_exchanges, 0);
}

#[test]
fn an_error_has_its_sqlstate() {
    let mut app = App::new();
    app.request(
        1,
        USERS,
        &run("s1"),
        &[error("23505"), ready(b'I')].concat(),
    );
    let (traces, _) = app.assemble();
    let query = of(&traces, 1)
        .spans
        .iter()
        .find(|s| s.name == "query")
        .expect("it is there");
    assert_eq!(query.status, Status::Error("23505".into()));
    assert_eq!(
        query.attributes.text(attr::DB_RESPONSE_STATUS_CODE),
        Some("23505")
    );
}

#[test]
fn copy_is_passed_over() {
    let mut app = App::new();
    app.start(1);
    app.query(1, "COPY users FROM STDIN");
    app.ask(&simple("COPY users FROM STDIN"));
    app.answer(&message(b'G', b"\0\0\0"));
    for _ in 0..3 {
        app.ask(&message(b'd', &[b'x'; 5_000]));
    }
    app.ask(&message(b'c', b""));
    app.answer(&[complete("COPY 3"), ready(b'I')].concat());
    app.done(1);
    app.end(1);
    let (traces, counts) = app.assemble();
    assert_eq!(exchanges(of(&traces, 1)), [("simple query", "db query")]);
    assert_eq!((apart(&traces), counts.orphan_spans), (vec![], 0));
}

/// More rows than a capture holds, up to ReadyForQuery.
fn large_answer() -> Vec<u8> {
    let rows = message(b'D', &[b'x'; 777]).repeat(40);
    [rows, complete("SELECT 40"), ready(b'I')].concat()
}

#[test]
fn a_large_result_ends_at_the_tail() {
    let mut app = App::new();
    app.start(1);
    app.query(1, USERS);
    app.ask(&run("s1"));
    let answer = large_answer();
    for part in answer.chunks(8192) {
        app.answer(part);
    }
    app.done(1);
    app.end(1);
    app.request(2, ORDERS, &run("s2"), &rows(1, 10));
    let (traces, _) = app.assemble();
    for id in [1, 2] {
        assert_eq!(exchanges(of(&traces, id)), [("query", "db query")]);
        assert_eq!(of(&traces, id).incomplete, [], "request {id}");
    }
}

#[test]
fn an_answer_whose_end_is_cut_in_two_does_not_shift_the_next() {
    let mut app = App::new();
    app.start(1);
    app.query(1, USERS);
    app.ask(&run("s1"));
    let answer = large_answer();
    let (most, rest) = answer.split_at(answer.len() - 2);
    app.answer(most);
    app.answer(rest);
    app.done(1);
    app.end(1);
    app.request(2, ORDERS, &run("s2"), &rows(1, 10));
    app.request(3, ORDERS, &run("s2"), &rows(1, 10));
    let (traces, _) = app.assemble();
    for id in [1, 2, 3] {
        assert_eq!(exchanges(of(&traces, id)), [("query", "db query")]);
    }
    assert_eq!(of(&traces, 1).incomplete, [Incomplete::MessageEnd]);
    assert_eq!(of(&traces, 2).incomplete, [Incomplete::MessageEnd]);
    assert_eq!(of(&traces, 3).incomplete, []);
}

#[test]
fn a_ping_is_upkeep_and_under_the_pool_wait_inside_one() {
    let mut app = App::new();
    app.start(1);
    app.world
        .app(APP, Probe::DbAcquireStart, RequestId(1), [0; 2], "");
    app.ask(&sync());
    app.answer(&ready(b'I'));
    app.world
        .app(APP, Probe::DbAcquireEnd, RequestId(1), [0; 2], "");
    app.end(1);
    app.ask(&sync());
    app.answer(&ready(b'I'));
    let (traces, counts) = app.assemble();
    assert_eq!(exchanges(of(&traces, 1)), [("ping", "db pool wait")]);
    assert_eq!(apart(&traces), ["connection upkeep: ping"]);
    assert_eq!((counts.orphan_spans, counts.upkeep_exchanges), (0, 1));
}

#[test]
fn a_rollback_on_release_belongs_to_the_transactions_request() {
    let mut app = App::new();
    app.request(
        1,
        "BEGIN",
        &simple("BEGIN"),
        &[complete("BEGIN"), ready(b'T')].concat(),
    );
    app.ask(&[simple("ROLLBACK"), sync()].concat());
    app.answer(&[complete("ROLLBACK"), ready(b'I'), ready(b'I')].concat());
    app.request(2, USERS, &run("s1"), &rows(1, 1));
    let (traces, counts) = app.assemble();
    assert_eq!(
        exchanges(of(&traces, 1)),
        [("simple query", "db query"), ("simple query", "handler")]
    );
    assert_eq!(exchanges(of(&traces, 2)), [("query", "db query")]);
    assert_eq!(
        (apart(&traces), counts.orphan_spans),
        (vec!["connection upkeep: ping"], 0)
    );
}

/// Queries whose send came in a later poll, on another thread.
fn drained(sql: [&str; 2]) -> (Vec<Trace>, Counts) {
    let mut app = App::new();
    for (id, sql) in [(1, sql[0]), (2, sql[1])] {
        app.start(id);
        app.query(id, sql);
        app.world
            .app(APP, Probe::CacheMiss, RequestId(9), [0; 2], "another poll");
    }
    app.conn.pids[0] = APP;
    let ask = prepare("s1", USERS);
    app.world.write(&mut app.conn, 0, APP + 1, &ask);
    app.world.read(&mut app.conn, 1, POSTGRES);
    app.answer(&prepared());
    for id in [1, 2] {
        app.done(id);
        app.end(id);
    }
    app.assemble()
}

#[test]
fn a_send_in_a_later_poll_is_bound_by_its_statement_if_one_fits() {
    let (traces, counts) = drained([USERS, ORDERS]);
    assert_eq!(exchanges(of(&traces, 1)), [("prepare", "db query")]);
    assert_eq!(counts.orphan_spans, 0);
    let (traces, counts) = drained([USERS, USERS]);
    assert_eq!(exchanges(of(&traces, 1)), []);
    assert_eq!((apart(&traces), counts.orphan_spans), (vec![ORPHAN], 1));
}

#[test]
fn one_query_runs_once() {
    let mut app = App::new();
    app.start(1);
    app.query(1, USERS);
    for _ in 0..2 {
        app.ask(&run("s1"));
        app.answer(&rows(1, 1));
    }
    app.done(1);
    app.end(1);
    let (traces, counts) = app.assemble();
    assert_eq!(exchanges(of(&traces, 1)), [("query", "db query")]);
    assert_eq!((apart(&traces), counts.orphan_spans), (vec![ORPHAN], 1));
}

#[test]
fn start_up_with_tls_refused_is_upkeep() {
    let mut app = App::new();
    app.ask(&[8u32.to_be_bytes(), 80_877_103u32.to_be_bytes()].concat());
    app.answer(b"N");
    let parameters = b"user\0lab\0\0";
    let length = (8 + parameters.len()) as u32;
    app.ask(
        &[
            &length.to_be_bytes()[..],
            &196_608u32.to_be_bytes(),
            parameters,
        ]
        .concat(),
    );
    app.answer(
        &[
            message(b'R', &[0; 4]),
            message(b'S', b"a\0b\0"),
            ready(b'I'),
        ]
        .concat(),
    );
    app.request(1, USERS, &run("s1"), &rows(1, 1));
    let (traces, counts) = app.assemble();
    assert_eq!(apart(&traces), ["connection upkeep: startup"]);
    assert_eq!(exchanges(of(&traces, 1)), [("query", "db query")]);
    assert_eq!(counts.orphan_spans, 0);
}

#[test]
fn a_connection_that_goes_midway_is_an_error() {
    let mut app = App::new();
    app.start(1);
    app.query(1, USERS);
    app.ask(&run("s1"));
    app.world.close(&app.conn);
    app.done(1);
    app.end(1);
    let (traces, _) = app.assemble();
    let trace = of(&traces, 1);
    assert_eq!(trace.incomplete, [Incomplete::ConnectionClosed]);
    let query = trace
        .spans
        .iter()
        .find(|s| s.name == "query")
        .expect("it is there");
    assert_eq!(query.status, Status::Error("closed".into()));
}
