//! Processes that come and go under load, and a recording that begins in the middle.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use tierscope_experiments::read_lines;
use tierscope_loadgen::Record;
use tierscope_model::{Incomplete, SpanKind};

use super::{
    ends::kill,
    puppet::{Puppet, request},
    seen::sketch,
    stage::Stage,
};
use crate::support::{TIERSCOPE, wait_for};

/// nginx is told to reload twice under load: old workers end, new ones come.
#[test]
fn nginx_reloads_under_load() {
    let Some(stage) = Stage::up(&[]) else { return };
    let records = stage.path("client.jsonl");
    let mut load = load(&stage, &records, "3");
    let recording = stage.record(load.id(), &[]);
    let master = stage.lab.pid("nginx");
    let first = children(master);
    load.stdin
        .take()
        .expect("its input")
        .write_all(b"go\n")
        .expect("sent");
    for _ in 0..2 {
        sleep(Duration::from_millis(900));
        kill("HUP", &master.to_string());
    }
    assert!(load.wait().expect("ended").code().is_some());
    let seen = stage.close(recording);
    seen.sound().without_orphans();

    let records: Vec<Record> = read_lines(records.as_ref()).expect("records");
    let answered = records.iter().filter(|record| record.error.is_none());
    let mut whole = 0;
    for record in answered {
        let id = record
            .id
            .as_ref()
            .expect("answered")
            .parse()
            .expect("an id");
        let trace = seen.trace(id);
        assert_eq!(trace.incomplete, [], "{}", sketch(trace));
        whole += 1;
    }
    let cut = records.len() - whole;
    println!("{whole} whole, {cut} cut by nginx");
    assert!(whole > 500 && cut < 50, "{whole} whole, {cut} cut");
    let workers: BTreeSet<_> = seen
        .traces
        .iter()
        .flat_map(|trace| &trace.spans)
        .filter(|span| span.kind == SpanKind::Server && span.resource.service == "nginx")
        .map(|span| span.resource.pid)
        .collect();
    let later: Vec<_> = workers.difference(&first).collect();
    assert!(
        !later.is_empty() && later.len() < workers.len(),
        "{workers:?}, first {first:?}"
    );
}

/// Some load that waits to be let go.
pub fn load(stage: &Stage, records: &str, seconds: &str) -> Child {
    Command::new(TIERSCOPE)
        .args(["load", "--hold", "--rate", "250", "--duration", seconds])
        .args([
            "--target",
            &stage.lab.nginx.to_string(),
            "--records",
            records,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

/// Every worker is killed; those that come in their place are traced from their first request on.
#[test]
fn a_traced_process_ends_and_another_begins() {
    let Some(stage) = Stage::up(&[]) else { return };
    let mut client = Puppet::start();
    let recording = stage.record(client.pid(), &[]);
    let line = client.connect(stage.lab.nginx);
    let before = client.ask(line, "GET", "/api/users/1", &[]);
    client.send(
        line,
        &request("GET", "/api/users/2", &["X-Lab-Fault: db_ms=200"], ""),
    );
    sleep(Duration::from_millis(50));
    let master = stage.lab.pid("nginx");
    let first = children(master);
    for worker in &first {
        kill("KILL", &worker.to_string());
    }
    wait_for("new workers", || {
        let now = children(master);
        now.len() == first.len() && now.is_disjoint(&first)
    });
    let line = client.connect(stage.lab.nginx);
    let after = client.ask(line, "GET", "/api/users/3", &[]);
    sleep(Duration::from_millis(200));

    let seen = stage.close(recording);
    seen.sound().without_orphans();
    for (asked, old) in [(&before, true), (&after, false)] {
        let trace = seen.whole(asked);
        let mut servers = trace.spans.iter().filter(|s| s.kind == SpanKind::Server);
        let proxy = servers
            .find(|s| s.resource.service == "nginx")
            .expect("nginx");
        assert_eq!(first.contains(&proxy.resource.pid), old);
    }
    let cut = seen
        .traces
        .iter()
        .filter(|t| t.incomplete.contains(&Incomplete::ConnectionClosed));
    assert!(cut.count() > 0, "what the worker was at says so");
}

fn children(parent: u32) -> BTreeSet<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = fs::read_to_string(path).expect("children");
    let pids = text
        .split_whitespace()
        .map(|pid| pid.parse().expect("a pid"));
    pids.collect()
}

/// One connection has served a request, one waits for a lock in PostgreSQL, when tracing begins.
#[test]
fn tracing_begins_in_the_middle() {
    let Some(stage) = Stage::up(&[]) else { return };
    let mut client = Puppet::start();
    let [used, waiting] = [(); 2].map(|()| client.connect(stage.lab.nginx));
    client.ask(used, "GET", "/api/users/1", &[]);
    let mut holder = stage.lab.psql().spawn().expect("psql");
    let mut input = holder.stdin.take().expect("its input");
    input
        .write_all(b"BEGIN; LOCK TABLE orders;\n")
        .expect("sent");
    wait_for("the lock", || stage.lab.sql(LOCKED) == "1");
    client.send(waiting, &request("GET", "/api/users/2/orders", &[], ""));
    wait_for("the query that waits", || stage.lab.sql(WAITING) == "1");

    let recording = stage.record(client.pid(), &[]);
    let during = client.ask(used, "GET", "/api/users", &[]);
    drop(input);
    holder.wait().expect("ended");
    let old = client.answer(waiting, "GET", "/api/users/2/orders");
    let after = client.ask(waiting, "GET", "/api/users/3/orders", &[]);
    let later = client.ask(used, "GET", "/api/users/4", &[]);

    let seen = stage.close(recording);
    seen.sound();
    for asked in [&during, &after, &later] {
        seen.whole(asked);
    }
    seen.marked(old.id, Incomplete::RecordingEdge);
}

const LOCKED: &str = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
    AND relation = 'orders'::regclass";
const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE NOT granted";
