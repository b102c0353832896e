//! What the real nginx makes of a request under the lab's configuration, seen by an upstream that
//! answers with the head it got.

mod common;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use common::{get, raw, values};
use serde_json::Value;
use tempfile::TempDir;

const HEX: &str = "0123456789abcdef";

/// nginx in a directory of its own, in front of the echoing upstream.
struct Proxy {
    dir: TempDir,
    address: SocketAddr,
    nginx: Child,
}

impl Proxy {
    /// `None`, with the reason printed, where there is no nginx.
    fn start() -> Option<Self> {
        let Some(binary) = ["/usr/sbin/nginx", "/usr/bin/nginx"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())
        else {
            println!("skipped: nginx is not installed");
            return None;
        };
        let dir = tempfile::tempdir().expect("directory");
        let prefix = dir.path().join("nginx");
        std::fs::create_dir(&prefix).expect("prefix");
        std::fs::create_dir(dir.path().join("logs")).expect("logs");
        let free = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = free.local_addr().expect("address");
        let text = tierscope_stack::nginx::configuration(address, &echo().to_string(), 1, 0);
        std::fs::write(prefix.join("nginx.conf"), text).expect("configuration");
        drop(free);
        let nginx = Command::new(binary)
            .arg("-p")
            .arg(&prefix)
            .args(["-c", "nginx.conf", "-e", "../logs/nginx.log"])
            .spawn()
            .expect("nginx");
        let proxy = Self {
            dir,
            address,
            nginx,
        };
        let start = Instant::now();
        // It is written as soon as nginx listens. A connection would not tell: a process that another test forks
        // may hold the freed port's listener up to its exec.
        while !prefix.join("nginx.pid").exists() {
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "nginx does not listen"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(proxy)
    }

    /// The entries of the access log, as soon as there are `count`.
    fn log(&self, count: usize) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let bytes = std::fs::read(self.dir.path().join("logs/access.jsonl")).expect("log");
            let lines: Vec<_> = bytes
                .split(|b| *b == b'\n')
                .filter(|l| !l.is_empty())
                .collect();
            // A connection that sent nothing is logged by no line, one that sent rubbish is.
            if lines.len() >= count {
                return lines
                    .iter()
                    .map(|line| serde_json::from_slice(line).expect("JSON"))
                    .collect();
            }
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{} lines",
                lines.len()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // SIGTERM, so that the master takes its workers along.
        let pid = self.nginx.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.nginx.wait();
    }
}

/// An upstream that answers every request with its head as the body.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("upstream");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nX-Request-ID: the app's\r\nX-Lab-Queries: 3\r\nContent-Length: {}\r\n\r\n",
                head.len()
            );
            let _ = stream.write_all(&[answer.as_bytes(), &head].concat());
            head.clear();
        }
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.chars().all(|c| HEX.contains(c))
}

#[test]
fn own_id_is_first_upstream_and_early_downstream() {
    let Some(proxy) = Proxy::start() else { return };
    let answer = get(proxy.address, "/", &[]);
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let mut upstream = body.lines();
    assert_eq!(upstream.next(), Some("GET / HTTP/1.1"));
    let (name, id) = upstream
        .next()
        .and_then(|l| l.split_once(": "))
        .expect("header");
    assert_eq!(name, "X-Request-ID");
    assert!(is_id(id), "{id}");
    // Once, and not what the app answered.
    assert_eq!(values(head, "X-Request-ID"), [id]);
    assert!(head.find("X-Request-ID").is_some_and(|at| at < 512 - 48));
    assert_eq!(values(head, "X-Lab-Queries"), ["3"]);
    assert_eq!(
        values(body, "traceparent"),
        [format!("00-{id}-{}-01", &id[..16])]
    );
}

#[test]
fn ids_that_a_client_chose_stay_attributes() {
    let Some(proxy) = Proxy::start() else { return };
    let chosen = "f".repeat(32);
    let headers = [
        ("X-Request-ID", chosen.as_str()),
        ("X-Trace-Id", "mine"),
        ("X-Client-Trace-Id", "forged"),
        ("X-Lab-Fault", "db_ms=1"),
    ];
    let answer = get(proxy.address, "/", &headers);
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let id = values(head, "X-Request-ID");
    assert!(is_id(id[0]) && id[0] != chosen, "{id:?}");
    assert_eq!(values(body, "X-Request-ID"), id);
    assert_eq!(values(body, "X-Client-Request-ID"), [chosen.as_str()]);
    assert_eq!(values(body, "X-Client-Trace-Id"), ["mine"]);
    assert!(values(body, "X-Trace-Id").is_empty());
    assert_eq!(values(body, "X-Lab-Fault"), ["db_ms=1"]);
    let entry = &proxy.log(1)[0];
    assert_eq!(entry["request_id"], id[0]);
    assert_eq!(entry["client_request_id"], chosen);
    assert_eq!(entry["client_trace_id"], "mine");
}

#[test]
fn headers_that_a_client_forges_do_not_get_through() {
    let Some(proxy) = Proxy::start() else { return };
    let forged = [
        ("X-Client-Request-ID", "forged"),
        ("X-Client-Trace-Id", "forged"),
    ];
    let body = get(proxy.address, "/", &forged);
    assert!(!body.contains("forged"), "{body}");
}

#[test]
fn traceparent_is_continued_or_restarted_as_w3c_asks() {
    let Some(proxy) = Proxy::start() else { return };
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("data/traceparent.json")).expect("cases");
    let mut tried = 0;
    for case in &cases {
        // Some headers are Python expressions, not values.
        let Some(headers) = case["headers"].as_array() else {
            continue;
        };
        let pairs: Vec<_> = headers
            .iter()
            .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
            .collect();
        let sent = "12345678901234567890123456789012";
        let answer = get(proxy.address, "/", &pairs);
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        let got = values(body, "traceparent");
        assert_eq!(got.len(), 1, "{case}: {body}");
        match case["expect_traceparent"].as_str() {
            Some("continue") => assert!(got[0].contains(sent), "{case}: {got:?}"),
            Some("restart") => assert!(got[0].contains(values(head, "X-Request-ID")[0]), "{case}"),
            _ => continue,
        }
        tried += 1;
    }
    assert_eq!(tried, 15, "cases that say what becomes of the trace");
}

#[test]
fn traceparent_passes_unchanged_or_not_at_all() {
    let Some(proxy) = Proxy::start() else { return };
    let (id, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let valid = format!("00-{id}-{span}-01");
    for (sent, continued) in [
        (valid.clone(), true),
        (format!("00-{id}-{span}-00"), true),
        (format!("00-{id}-{span}-ff"), true),
        (valid.to_uppercase(), false),
        (format!("ff-{id}-{span}-01"), false),
        (format!("01-{id}-{span}-01"), false),
        (format!("00-{}-{span}-01", "0".repeat(32)), false),
        (format!("00-{id}-{}-01", "0".repeat(16)), false),
        (format!("00-{id}-{span}"), false),
        (format!("00-{id}-{span}-1"), false),
        (format!("{valid}, {valid}"), false),
        (format!("\"{valid}\""), false),
        (String::new(), false),
        ("00-$request_id-${host}-01".to_owned(), false),
    ] {
        let headers = [("traceparent", sent.as_str()), ("tracestate", "foo=1")];
        let body = get(proxy.address, "/", &headers);
        let got = values(&body, "traceparent");
        assert_eq!(got == [sent.as_str()], continued, "{sent}: {got:?}");
        // tracestate must not outlive the trace that it belongs to.
        assert_eq!(
            values(&body, "tracestate") == ["foo=1"],
            continued,
            "{sent}"
        );
    }
}

#[test]
fn access_log_is_json_whatever_is_sent() {
    let Some(proxy) = Proxy::start() else { return };
    let requests: [&[u8]; 7] = [
        b"GET /a\"b\\c?secret=1 HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nX-Request-ID: \"},{\"\x1b[31m\\\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nX-Trace-Id: \xc3\x28\r\n\r\n",
        b"GET /%1b%22 HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n",
        b"GET /\x1b[2J HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01rubbish\r\n\r\n",
        b"GET /nine\r\n",
        b"POST / HTTP/1.1\r\nHost: \"\\\r\nContent-Length: -1\r\n\r\n",
    ];
    for request in requests {
        raw(proxy.address, request);
    }
    let entries = proxy.log(requests.len());
    assert_eq!(entries.len(), requests.len());
    assert!(
        entries
            .iter()
            .all(|e| e["request_id"].as_str().is_some_and(is_id))
    );
    assert_eq!(entries[0]["path"], "/a\"b\\c");
    assert_eq!(entries[0]["client_request_id"], "(not printable)");
    assert_eq!(entries[0]["client_trace_id"], "");
    assert_eq!(entries[1]["path"], "(not printable)");
    assert_eq!(entries[2]["path"], "/%1b%22");
    assert!(entries[0]["request_time"].is_number() && entries[0]["msec"].is_number());
}

#[test]
fn connections_are_kept_alive_on_both_sides() {
    let Some(proxy) = Proxy::start() else { return };
    let request = "GET / HTTP/1.1\r\nHost: lab\r\n\r\n".repeat(2);
    let last = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    let answers = raw(proxy.address, (request + last).as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);
    let entries = proxy.log(3);
    assert_eq!(entries[2]["connection_requests"], 3);
    assert_eq!(entries[0]["connection"], entries[2]["connection"]);
    // A connection that was there already took no time to make.
    assert_eq!(entries[2]["upstream_connect_time"], "0.000");
    assert!(!answers.contains("Connection: Keep-Alive"), "{answers}");
}
