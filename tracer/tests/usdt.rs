//! USDT probes of this test program itself, fired by a copy of it: each hit once, with its arguments.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use tierscope_model::{Body, Probe, Usdt};
use tierscope_tracer::{Service, Tracer, TracerOptions, decode};

#[usdt::provider(provider = "tierscope_app")]
mod app {
    fn request_start(hi: u64, lo: u64, method: &str, path: &str) {}
    fn request_end(hi: u64, lo: u64, status_code: u64, duration_ns: u64) {}
}

const TRACED: &str = "TIERSCOPE_TRACED";
const REQUESTS: u64 = 50;

#[test]
#[ignore = "the traced process of the other test"]
fn child() {
    if std::env::var_os(TRACED).is_none() {
        return;
    }
    usdt::register_probes().expect("probes");
    println!("@ready");
    std::io::stdin()
        .read_line(&mut String::new())
        .expect("to be told");
    for i in 0..REQUESTS {
        let path = format!("/item/{i}");
        app::request_start!(|| (u64::MAX, i, "GET", &path));
        app::request_end!(|| (u64::MAX, i, 200, i << 40));
    }
}

/// A copy that waits to be told to go on.
fn start() -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(TRACED, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    let mut lines = BufReader::new(child.stdout.as_mut().expect("stdout")).lines();
    lines
        .find(|line| line.as_ref().expect("line").ends_with("@ready"))
        .expect("ready")
        .expect("line");
    child
}

#[test]
fn each_hit_is_told_once_with_its_arguments() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let mut child = start();
    let service = Service {
        name: "probed".into(),
        pids: vec![child.id()],
        binary: None,
    };
    let options = TracerOptions {
        services: vec![service],
        ..TracerOptions::default()
    };
    let mut tracer = Tracer::start(options).expect("the tracer starts");
    let input = child.stdin.as_mut().expect("stdin");
    input.write_all(b"go\n").expect("go");
    assert!(child.wait().expect("wait").success());
    check(&hits(&mut tracer));
    assert!(
        tracer
            .counts()
            .expect("counts")
            .iter()
            .all(|count| count.lost == 0)
    );
}

fn hits(tracer: &mut Tracer) -> Vec<Usdt> {
    let mut hits = Vec::new();
    tracer.drain(&mut |record| {
        if let Body::Usdt(hit) = decode(record).expect("a record").body {
            hits.push(hit);
        }
    });
    hits
}

fn check(hits: &[Usdt]) {
    assert_eq!(hits.len() as u64, 2 * REQUESTS);
    for (i, pair) in (0..).zip(hits.chunks(2)) {
        let [start, end] = pair else {
            panic!("half a request")
        };
        assert_eq!(
            (start.probe, end.probe),
            (Probe::RequestStart, Probe::RequestEnd)
        );
        assert_eq!(start.args[..2], [u64::MAX, i]);
        assert_eq!(end.args[..4], [u64::MAX, i, 200, i << 40]);
        assert_eq!(start.text, ["GET".to_owned(), format!("/item/{i}")]);
    }
}
