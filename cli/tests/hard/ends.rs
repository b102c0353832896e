//! Requests that do not end as they should.

use std::{thread::sleep, time::Duration};

use tierscope_model::{Incomplete, Span, SpanKind, Status, Trace, attr};

use super::{
    large::LONG_NAMES,
    puppet::{Line, Puppet, request},
    seen::{Asked, handler, named, queries, ran, sketch},
    stage::Stage,
};
use crate::support::{Answer, wait_for};

const SLOW: &str = "X-Lab-Fault: db_ms=300";

#[test]
fn a_client_that_goes_midway() {
    let Some(stage) = Stage::up(&[]) else { return };
    stage.lab.sql(LONG_NAMES);
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    // One that closes, one that resets, both before the answer.
    for end in [Puppet::close, Puppet::reset] {
        let line = client.connect(stage.lab.nginx);
        client.send(line, &request("GET", "/api/users/1/orders", &[SLOW], ""));
        sleep(Duration::from_millis(100));
        end(&mut client, line);
    }
    // One in the middle of its answer.
    let line = client.connect(stage.lab.nginx);
    client.send(line, &request("GET", "/api/users/7/orders", &[], ""));
    let head = client.head(line);
    client.read(line, 1000);
    client.reset(line);
    // One in the middle of its request.
    let line = client.connect(stage.lab.nginx);
    let half = request(
        "POST",
        "/api/orders",
        &[],
        "{\"user_id\":9,\"product_id\":3}",
    );
    client.send(line, &half[..half.len() - 10]);
    sleep(Duration::from_millis(50));
    client.close(line);
    sleep(Duration::from_millis(400));
    let line = client.connect(stage.lab.nginx);
    let after = client.ask(line, "GET", "/api/users/2/orders", &[]);

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    seen.whole(&after);
    let cut = Asked::new("GET", "/api/users/7/orders", &Answer(head));
    seen.marked(cut.id, Incomplete::ConnectionClosed);
    let others = || {
        seen.traces
            .iter()
            .filter(|t| t.request_id != Some(after.id))
    };
    for trace in others() {
        let closed = trace.incomplete.contains(&Incomplete::ConnectionClosed);
        assert!(closed, "{}", sketch(trace));
    }
    // The app heard of both that went before their answer, and what it had asked still ran.
    let abandoned: Vec<_> = others()
        .filter(|trace| trace.request_id.is_some_and(|id| id != cut.id))
        .collect();
    assert_eq!(abandoned.len(), 2);
    for trace in abandoned {
        let status = handler(trace)
            .attributes
            .int(attr::HTTP_RESPONSE_STATUS_CODE);
        assert_eq!(status, Some(499), "{}", sketch(trace));
        assert!(ran(trace, queries(trace)[0]), "{}", sketch(trace));
    }
}

#[test]
fn a_panic_of_the_app() {
    let Some(stage) = Stage::up(&[]) else { return };
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let line = client.connect(stage.lab.nginx);
    let panicked = client.ask(line, "GET", "/api/users/1", &["X-Lab-Fault: panic"]);
    let after = client.ask(line, "GET", "/api/users/2", &[]);
    assert_eq!((panicked.status, after.status), (500, 200));

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    for asked in [&panicked, &after] {
        seen.whole(asked);
    }
    let trace = seen.trace(panicked.id);
    assert_eq!(trace.spans[0].status, Status::Error("500".into()));
    let status = handler(trace)
        .attributes
        .int(attr::HTTP_RESPONSE_STATUS_CODE);
    assert_eq!(status, Some(500));
    let open = |s: &&Span| s.status == Status::Error("no end seen".into());
    assert_eq!(trace.spans.iter().find(open), None, "all ends were told");
}

/// PostgreSQL cancels one query; a backend is told to end, and one is killed, which makes the
/// postmaster end all others and start anew.
#[test]
fn a_query_cancelled_and_a_backend_killed() {
    let options = ["--statement-timeout", "900", "--pool-size", "2"];
    let Some(stage) = Stage::up(&options) else {
        return;
    };
    // Or the start after the kill would write the whole cluster to the disk.
    stage
        .lab
        .sql("ALTER SYSTEM SET fsync = off;\nSELECT pg_reload_conf();");
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let line = client.connect(stage.lab.nginx);
    let cancelled = client.ask(line, "GET", "/api/users/1", &["X-Lab-Fault: db_ms=2000"]);
    let mut answered = vec![client.ask(line, "GET", "/api/users/2", &[])];
    let killed = ["TERM", "KILL"].map(|signal| {
        let path = "/api/users/3/orders";
        client.send(line, &request("GET", path, &["X-Lab-Fault: db_ms=800"], ""));
        let mut backend = String::new();
        wait_for("the query", || {
            backend = stage.lab.sql(ASLEEP);
            !backend.is_empty()
        });
        kill(signal, &backend);
        let killed = client.answer(line, "GET", path);
        answered.extend(until_served(&mut client, line));
        killed
    });

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    let trace = seen.whole(&cancelled);
    assert_eq!((cancelled.status, sqlstates(trace)), (500, vec!["57014"]));
    let [told, shot] = killed;
    let trace = seen.trace(told.id);
    assert_eq!(
        (told.status, sqlstates(trace)),
        (500, vec!["57P01"]),
        "{}",
        sketch(trace)
    );
    let trace = seen.marked(shot.id, Incomplete::ConnectionClosed);
    assert_eq!(
        (shot.status, queries(trace).len()),
        (500, 1),
        "{}",
        sketch(trace)
    );
    for asked in answered.iter().filter(|asked| asked.status == 200) {
        // The pool may have tried a connection that had died first, and says so.
        if seen.trace(asked.id).incomplete != [Incomplete::ConnectionClosed] {
            seen.whole(asked);
        }
    }
    // Those that met a connection which had died say so, too.
    for asked in answered.iter().filter(|asked| asked.status != 200) {
        handler(seen.trace(asked.id));
    }
}

/// Asks until it is answered with 200.
fn until_served(client: &mut Puppet, line: Line) -> Vec<Asked> {
    let mut all = Vec::new();
    while all.last().is_none_or(|asked: &Asked| asked.status != 200) {
        assert!(all.len() < 20, "the database does not come back");
        all.push(client.ask(line, "GET", "/api/users/4", &[]));
    }
    all
}

fn sqlstates(trace: &Trace) -> Vec<&str> {
    let spans = trace
        .spans
        .iter()
        .filter(|span| span.kind == SpanKind::Server);
    spans
        .filter_map(|span| span.attributes.text(attr::DB_RESPONSE_STATUS_CODE))
        .collect()
}

/// The backend that runs the app's query.
const ASLEEP: &str = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";

pub fn kill(signal: &str, pid: &str) {
    let pid = nix::unistd::Pid::from_raw(pid.parse().expect("one pid"));
    let signal = format!("SIG{signal}").parse().expect("a signal");
    nix::sys::signal::kill::<nix::sys::signal::Signal>(pid, signal).expect("sent");
}

#[test]
fn a_pool_exhausted_and_a_request_timed_out() {
    let options = ["--pool-size", "1", "--request-timeout", "500"];
    let Some(stage) = Stage::up(&options) else {
        return;
    };
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let lines = [(); 3].map(|()| client.connect(stage.lab.nginx));
    let path = |at: usize| format!("/api/users/{}/orders", 40 + at);
    // Each waits for the one before.
    for (at, line) in lines.iter().enumerate() {
        client.send(
            *line,
            &request("GET", &path(at), &["X-Lab-Fault: db_ms=100"], ""),
        );
        sleep(Duration::from_millis(10));
    }
    let mut waited = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        waited.push(client.answer(*line, "GET", &path(at)));
    }
    // The first holds the only connection beyond its time, the second's ends in the pool.
    client.send(
        lines[0],
        &request("GET", "/api/users", &["X-Lab-Fault: db_ms=900"], ""),
    );
    sleep(Duration::from_millis(100));
    client.send(lines[1], &request("GET", &path(9), &[], ""));
    let held = client.answer(lines[0], "GET", "/api/users");
    let dry = client.answer(lines[1], "GET", &path(9));
    assert_eq!((held.status, dry.status), (504, 504));
    sleep(Duration::from_millis(500));
    let after = client.ask(lines[2], "GET", &path(8), &[]);

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    let waits: Vec<_> = waited
        .iter()
        .map(|asked| named(seen.whole(asked), "db pool wait")[0].duration() / 1_000_000)
        .collect();
    assert!(
        waits[0] < 50 && waits[1] >= 80 && waits[2] >= 170,
        "{waits:?} ms"
    );
    seen.whole(&after);
    let trace = seen.whole(&dry);
    assert_eq!(queries(trace).len(), 0);
    assert!(named(trace, "db pool wait")[0].duration() > 300_000_000);
    seen.whole(&held);
}
