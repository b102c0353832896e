//! The USDT probes: all in the binary, each one firing, every start ended.

mod support;

use std::{
    io::ErrorKind::{NotFound, PermissionDenied},
    path::Path,
    time::{Duration, Instant},
};

use support::{
    http,
    notes::{self, Note},
    service::{BINARY, Service},
    tracefs::{Fire, TRACEFS, Tracing},
};

/// Every probe, the number of its arguments, and which of them are texts.
const PROBES: [(&str, usize, &[usize]); 12] = [
    ("cache_hit", 3, &[2]),
    ("cache_miss", 3, &[2]),
    ("db_acquire_end", 2, &[]),
    ("db_acquire_start", 2, &[]),
    ("db_query_end", 4, &[]),
    ("db_query_start", 3, &[2]),
    ("file_io_end", 3, &[]),
    ("file_io_start", 4, &[2, 3]),
    ("request_end", 4, &[]),
    ("request_start", 4, &[2, 3]),
    ("span_end", 2, &[]),
    ("span_start", 3, &[2]),
];

#[test]
fn binary_has_every_probe() {
    let notes = notes::read(Path::new(BINARY));
    assert!(notes.iter().all(|note| note.provider == "tierscope_app"));
    let mut found: Vec<_> = notes
        .iter()
        .map(|note| (note.name.as_str(), note.arguments.split(' ').count()))
        .collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, PROBES.map(|(name, count, _)| (name, count)));
}

/// Starts tracing and a service, or ends the test with the reason printed.
fn traced() -> Option<(Tracing, Service)> {
    let notes: Vec<Note> = notes::read(Path::new(BINARY));
    let is_text = |probe: &str, index: usize| {
        PROBES
            .iter()
            .any(|(name, _, texts)| *name == probe && texts.contains(&index))
    };
    let tracing = match Tracing::start(Path::new(BINARY), &notes, is_text) {
        Ok(tracing) => tracing,
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => {
            println!("skipped: cannot use {TRACEFS} (mounted? root?): {error}");
            return None;
        }
        Err(error) => panic!("{TRACEFS}: {error}, see {TRACEFS}/error_log"),
    };
    let arguments = ["--faults", "--truth", "--request-timeout-ms", "1000"];
    Some((tracing, Service::start(&arguments)?))
}

/// Runs `request` under an id of its own and returns what fired for it.
fn fires_of(tracing: &Tracing, id: u128, request: impl FnOnce(&str)) -> Vec<Fire> {
    request(&format!("X-Request-ID: {id:032x}"));
    let mut fires = tracing.fires();
    fires.retain(|fire| fire.request == id);
    fires
}

fn count(fires: &[Fire], probe: &str) -> usize {
    fires.iter().filter(|fire| fire.probe == probe).count()
}

fn assert_ended(fires: &[Fire]) {
    for kind in ["request", "db_acquire", "db_query", "file_io", "span"] {
        let starts = count(fires, &format!("{kind}_start"));
        assert_eq!(
            starts,
            count(fires, &format!("{kind}_end")),
            "{kind}: {fires:#?}"
        );
    }
    assert_eq!(
        fires.first().map(|fire| fire.probe.as_str()),
        Some("request_start")
    );
    assert_eq!(
        fires.last().map(|fire| fire.probe.as_str()),
        Some("request_end")
    );
}

/// The texts that the starts of a probe carried.
fn texts<'a>(fires: &'a [Fire], probe: &str) -> Vec<&'a [String]> {
    let hits = fires.iter().filter(|fire| fire.probe == probe);
    hits.map(|fire| fire.arguments.as_slice()).collect()
}

fn status(fires: &[Fire]) -> &str {
    &fires.last().expect("request_end").arguments[0]
}

/// One test, because the probes of the binary can be attached once.
#[test]
fn every_probe_fires_and_every_start_ends() {
    let Some((tracing, service)) = traced() else {
        return;
    };
    user_is_missed_then_hit(&tracing, &service);
    order_and_report_do_file_io(&tracing, &service);
    panic_ends_its_spans(&tracing, &service);
    timeout_and_cancellation_end_their_query(&tracing, &service);
}

fn user_is_missed_then_hit(tracing: &Tracing, service: &Service) {
    let user = |id: &str| drop(service.get("/api/users/7?secret=1", &[id]));
    let miss = fires_of(tracing, 0x1_0000_0000_0000_0001, user);
    let hit = fires_of(tracing, 2, user);
    assert_ended(&miss);
    assert_ended(&hit);
    assert_eq!(texts(&miss, "request_start"), [["GET", "/api/users/7"]]);
    assert_eq!(texts(&miss, "cache_miss"), [["user:7"]]);
    assert_eq!(texts(&hit, "cache_hit"), [["user:7"]]);
    let query = "SELECT id, name, email FROM users WHERE id = $1 AND $2::text IS NOT NULL";
    assert_eq!(texts(&miss, "db_query_start")[0], [query]);
    assert_eq!(
        (count(&miss, "db_query_end"), count(&hit, "db_query_end")),
        (2, 1)
    );
    assert_eq!(texts(&miss, "db_query_end")[0][1], "0x1");
    assert_eq!(texts(&miss, "span_start"), [["serialize"]]);
    assert_eq!(status(&miss), "0xc8");
}

fn order_and_report_do_file_io(tracing: &Tracing, service: &Service) {
    let order = r#"{"user_id":1,"product_id":1,"quantity":1}"#;
    let order = fires_of(tracing, 3, |id| {
        drop(service.post("/api/orders", &[id], order))
    });
    assert_ended(&order);
    let queries = texts(&order, "db_query_start");
    assert_eq!(queries.len(), 5, "{queries:?}");
    assert_eq!(
        (queries[0][0].as_str(), queries[4][0].as_str()),
        ("BEGIN", "COMMIT")
    );
    let operations = texts(&order, "file_io_start");
    assert_eq!(
        (operations[0][1].as_str(), operations[1][1].as_str()),
        ("append", "fsync")
    );
    assert!(operations[0][0].ends_with("/audit.log"));
    assert_eq!(status(&order), "0xc9");

    let report = fires_of(tracing, 4, |id| drop(service.get("/api/report/7", &[id])));
    assert_ended(&report);
    assert_eq!(texts(&report, "span_start"), [["render"], ["serialize"]]);
    assert_eq!(texts(&report, "file_io_start")[0][1], "read");
}

fn panic_ends_its_spans(tracing: &Tracing, service: &Service) {
    let fires = fires_of(tracing, 5, |id| {
        drop(service.get("/api/users", &[id, "X-Lab-Fault: panic"]));
    });
    assert_ended(&fires);
    assert_eq!(
        count(&fires, "span_end"),
        2,
        "the interrupted answer and the error"
    );
    assert_eq!(status(&fires), "0x1f4");
}

fn timeout_and_cancellation_end_their_query(tracing: &Tracing, service: &Service) {
    let slow = "X-Lab-Fault: db_ms=5000";
    let late = fires_of(tracing, 6, |id| {
        drop(service.get("/api/users", &[id, slow]));
    });
    assert_ended(&late);
    assert_eq!(status(&late), "0x1f8");
    assert_eq!(texts(&late, "db_query_end")[0][1], "0x0");

    let gone = fires_of(tracing, 7, |id| {
        let stream = http::send(&service.address, "GET", "/api/users", &[id, slow], "");
        wait_for(tracing, 7, "db_query_start");
        drop(stream);
        wait_for(tracing, 7, "request_end");
    });
    assert_ended(&gone);
    assert_eq!(status(&gone), "0x1f3");
    assert_eq!(count(&gone, "db_query_end"), 1);
}

fn wait_for(tracing: &Tracing, id: u128, probe: &str) {
    let fired = |fire: &Fire| fire.request == id && fire.probe == probe;
    let deadline = Instant::now() + Duration::from_secs(5);
    while !tracing.fires().iter().any(fired) {
        assert!(Instant::now() < deadline, "{probe} did not fire");
        std::thread::sleep(Duration::from_millis(5));
    }
}
