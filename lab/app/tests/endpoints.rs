//! Every endpoint against a real PostgreSQL: answers, errors, truth mode, faults, shutdown.

mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use support::{http::Response, service::Service};

const ID: &str = "0123456789abcdef0123456789abcdef";
const ID_LINE: &str = "X-Request-ID: 0123456789abcdef0123456789abcdef";

/// Starts the service or ends the test with the reason printed.
macro_rules! service {
    ($($argument:literal),*) => {
        match Service::start(&[$($argument),*]) {
            Some(service) => service,
            None => return,
        }
    };
}

fn statements(response: &Response) -> &str {
    assert!(response.status < 500, "{response:?}");
    response.header("x-lab-queries").expect("X-Lab-Queries")
}

#[test]
fn users_come_in_pages() {
    let service = service!();
    let second = service.get("/api/users?page=2", &[]).json();
    let ids: Vec<_> = (51..=100).map(|id| json!(id)).collect();
    let users = second["users"].as_array().expect("users");
    assert_eq!(
        users
            .iter()
            .map(|user| user["id"].clone())
            .collect::<Vec<_>>(),
        ids
    );
    assert_eq!(service.get("/api/users", &[]).json()["page"], 1);
    assert_eq!(service.get("/api/users?page=0", &[]).status, 400);
    assert_eq!(service.get("/api/users?page=2147483647", &[]).status, 400);
}

#[test]
fn user_has_totals() {
    let service = service!();
    let user = service.get("/api/users/7", &[]).json();
    assert_eq!(user["user"]["id"], 7);
    assert_eq!(user["orders"], 10);
}

#[test]
fn orders_of_a_user_are_the_same_in_both_forms() {
    let service = service!("--faults");
    let joined = service.get("/api/users/7/orders", &[]).json();
    let single = service
        .get("/api/users/7/orders", &["X-Lab-Fault: n_plus_one"])
        .json();
    assert_eq!(joined["orders"].as_array().map(Vec::len), Some(10));
    assert_eq!(joined, single);
}

#[test]
fn new_order_is_stored_and_logged() {
    let service = service!();
    let body = r#"{"user_id":9999,"product_id":3,"quantity":2}"#;
    let answer = service.post("/api/orders", &[ID_LINE], body);
    assert_eq!(answer.status, 201);
    let id = answer.json()["id"].to_string();
    let stored = service.postgres.query(&format!(
        "SELECT user_id, product_id, quantity FROM orders WHERE id = {id}"
    ));
    assert_eq!(stored, "9999|3|2");
    let log = service.audit_log();
    assert_eq!(log.len(), 1);
    assert!(log[0].contains(ID) && log[0].contains(&id), "{log:?}");
}

#[test]
fn refused_orders_leave_nothing_behind() {
    let service = service!();
    let post = |body: &str| service.post("/api/orders", &[], body).status;
    assert_eq!(
        post(r#"{"user_id":1,"product_id":99999,"quantity":1}"#),
        404
    );
    assert_eq!(
        post(r#"{"user_id":99999,"product_id":1,"quantity":1}"#),
        409
    );
    assert_eq!(post(r#"{"user_id":1,"product_id":1,"quantity":0}"#), 400);
    assert_eq!(post("{"), 400);
    assert!(service.audit_log().is_empty());
    let stored = service
        .postgres
        .query("SELECT count(*) FROM orders WHERE user_id = 99999");
    assert_eq!(stored, "0");
}

#[test]
fn search_finds_by_rank() {
    let service = service!();
    let found = service
        .get("/api/products/search?q=brass+anchor", &[])
        .json();
    assert_eq!(found["products"][0]["name"], "Brass Anchor");
    let many = service.get("/api/products/search?q=anchors", &[]).json();
    assert_eq!(many["products"].as_array().map(Vec::len), Some(10));
    assert_eq!(service.get("/api/products/search?q=", &[]).status, 400);
    assert_eq!(service.get("/api/products/search", &[]).status, 400);
}

#[test]
fn search_uses_its_index() {
    let service = service!();
    let plan = service.postgres.query(
        "EXPLAIN SELECT id FROM products WHERE to_tsvector('english', name || ' ' || description) \
         @@ websearch_to_tsquery('english', 'anchor')",
    );
    assert!(plan.contains("products_search"), "{plan}");
}

#[test]
fn report_is_rendered_and_repeatable() {
    let service = service!();
    let report = service.get("/api/report/7", &[]).json();
    let html = report["html"].as_str().expect("html");
    assert_eq!(html.matches("<tr><td>").count(), 11, "{html}");
    assert!(!html.contains("{{"), "{html}");
    assert_eq!(service.get("/api/report/7", &[]).json(), report);
    let faulty = service.get("/api/report/7", &["X-Lab-Fault: file_per_row"]);
    assert_eq!(faulty.json(), report);
}

#[test]
fn errors_are_json_with_the_request_id() {
    let service = service!();
    for (target, status) in [
        ("/api/users/99999", 404),
        ("/api/report/99999", 404),
        ("/api/users/abc", 400),
        ("/nowhere", 404),
        ("/api/orders", 405),
    ] {
        let answer = service.get(target, &[ID_LINE]);
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.json()["request_id"], ID, "{target}");
        assert!(answer.json()["error"].is_string(), "{target}");
    }
}

#[test]
fn request_id_comes_first_in_the_head() {
    let service = service!();
    let answer = service.get("/health", &[ID_LINE]);
    assert_eq!(answer.json(), json!({ "status": "ok" }));
    let first = answer.head.lines().nth(1).expect("a header");
    assert_eq!(first, format!("x-request-id: {ID}"));
    let length = answer.body.len().to_string();
    assert_eq!(answer.header("content-length"), Some(length.as_str()));
    assert_eq!(answer.header("x-lab-queries"), None);
    let made = service.get("/health", &["X-Request-ID: short"]);
    assert_eq!(made.header("x-request-id").map(str::len), Some(32));
}

#[test]
fn truth_mode_counts_and_marks_statements() {
    let service = service!("--truth", "--faults");
    let get = |target: &str, fault: &str| service.get(target, &[fault]);
    let none = "X-Lab-Fault: file_ms=0";
    assert_eq!(statements(&get("/health", none)), "0");
    assert_eq!(statements(&get("/api/users", none)), "1");
    assert_eq!(statements(&get("/api/users/77", none)), "2");
    assert_eq!(statements(&get("/api/users/77", none)), "1");
    assert_eq!(
        statements(&get("/api/users/77", "X-Lab-Fault: cache_bypass")),
        "2"
    );
    assert_eq!(statements(&get("/api/users/77/orders", none)), "1");
    let single = get("/api/users/77/orders", "X-Lab-Fault: n_plus_one");
    assert_eq!(statements(&single), "11");
    assert_eq!(statements(&get("/api/products/search?q=lamp", none)), "1");
    assert_eq!(statements(&get("/api/report/77", none)), "2");
    let order = r#"{"user_id":1,"product_id":1,"quantity":1}"#;
    assert_eq!(statements(&service.post("/api/orders", &[], order)), "5");
    let marked = service.postgres.query(
        "SELECT query FROM pg_stat_statements WHERE query LIKE '%$%::text IS NOT NULL%' \
         AND query NOT LIKE '%pg_stat_%'",
    );
    assert_eq!(marked.lines().count(), 11, "{marked}");
}

#[test]
fn latency_faults_take_their_time() {
    let service = service!("--truth", "--faults");
    let order = r#"{"user_id":1,"product_id":1,"quantity":1}"#;
    for fault in ["db_ms=40", "handler_ms=40", "cpu_ms=40", "file_ms=40"] {
        let start = Instant::now();
        let answer = service.post("/api/orders", &[&format!("X-Lab-Fault: {fault}")], order);
        assert_eq!(answer.status, 201, "{fault}: {answer:?}");
        assert!(start.elapsed() >= Duration::from_millis(40), "{fault}");
    }
    let slept = service.postgres.query(
        "SELECT max(max_exec_time) >= 40 FROM pg_stat_statements WHERE query LIKE '%pg_sleep%'",
    );
    assert_eq!(slept, "t");
}

#[test]
fn every_statement_has_a_slow_form() {
    let service = service!("--latency", "db=1");
    for target in [
        "/api/users",
        "/api/users/5",
        "/api/users/5/orders",
        "/api/products/search?q=lamp",
        "/api/report/5",
    ] {
        assert_eq!(service.get(target, &[]).status, 200, "{target}");
    }
}

#[test]
fn fault_header_needs_its_flag_and_its_grammar() {
    let service = service!();
    assert_eq!(
        service.get("/health", &["X-Lab-Fault: nonsense"]).status,
        200
    );
    let service = service!("--faults");
    let refused = service.get("/health", &["X-Lab-Fault: nonsense", ID_LINE]);
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["request_id"], ID);
}

#[test]
fn panic_is_answered_and_survived() {
    let service = service!("--faults");
    let answer = service.get("/api/users", &["X-Lab-Fault: panic", ID_LINE]);
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["request_id"], ID);
    assert_eq!(service.get("/api/users", &[]).status, 200);
}

#[test]
fn slow_request_times_out() {
    let service = service!("--faults", "--request-timeout-ms", "50");
    for fault in ["X-Lab-Fault: handler_ms=5000", "X-Lab-Fault: db_ms=5000"] {
        let start = Instant::now();
        let answer = service.get("/api/users", &[fault, ID_LINE]);
        assert_eq!(answer.status, 504);
        assert_eq!(answer.json()["request_id"], ID);
        assert!(start.elapsed() < Duration::from_secs(4));
    }
    assert_eq!(service.get("/health", &[]).status, 200);
}

#[test]
fn signals_end_it_after_the_open_requests() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let service = service!("--faults");
        let address = service.address.clone();
        let open = std::thread::spawn(move || {
            let fault = ["X-Lab-Fault: handler_ms=1000"];
            support::http::exchange(&address, "GET", "/health", &fault, "")
        });
        std::thread::sleep(Duration::from_millis(300));
        service.signal(signal);
        assert!(service.wait().success());
        assert_eq!(open.join().expect("the client").status, 200);
    }
}
