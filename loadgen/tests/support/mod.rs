//! A real TCP server whose answers take as long as their path says, and the options of a run.

#![allow(dead_code)] // Each test file uses its own part of this.

use std::{
    io::{BufRead as _, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use tierscope_loadgen::{LoadOptions, Mix, Mode, Record};

/// CLOCK_MONOTONIC in ns.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    Duration::from(time).as_nanos() as u64
}

/// A request as the server read it.
pub struct Asked {
    pub target: String,
    pub body: Vec<u8>,
    /// When the server had read it, CLOCK_MONOTONIC ns.
    pub at: u64,
}

/// Serves every connection on a thread of its own; `answer` gets each request and its connection
/// and returns false to close it. The threads end with the test process.
pub fn serve(
    answer: impl Fn(&Asked, &mut TcpStream) -> bool + Clone + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || connection(stream.unwrap(), answer));
        }
    });
    address
}

fn connection(mut stream: TcpStream, answer: impl Fn(&Asked, &mut TcpStream) -> bool) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(asked) = request(&mut reader) {
        if !answer(&asked, &mut stream) {
            return;
        }
    }
}

fn request(reader: &mut impl std::io::BufRead) -> Option<Asked> {
    let mut first = String::new();
    let mut length = 0;
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let target = first.split(' ').nth(1)?.to_owned();
    Some(Asked {
        target,
        body,
        at: now(),
    })
}

/// A whole answer with a body, in one write.
pub fn ok(stream: &mut impl Write) -> bool {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .is_ok()
}

/// A mix of one GET endpoint per path, all of the same weight, named by their paths.
pub fn mix(paths: &[&str]) -> Mix {
    let endpoint = |path: &&str| {
        format!("[[endpoint]]\nname = {path:?}\nweight = 1\nmethod = \"GET\"\npath = {path:?}\n")
    };
    Mix::from_toml(&paths.iter().map(endpoint).collect::<String>()).unwrap()
}

/// An open loop of half a second.
pub fn options(target: SocketAddr, rate: f64, mix: Mix) -> LoadOptions {
    LoadOptions {
        target,
        host: "test".to_owned(),
        mode: Mode::Open { rate },
        connections: 4,
        receive_buffer: None,
        duration: Duration::from_millis(500),
        seed: 1,
        mix,
        timeout: Duration::from_secs(2),
        records: None,
        hold: false,
        begun: None,
        steps: Vec::new(),
    }
}

/// The lines of a record file.
pub fn read(path: &Path) -> Vec<Record> {
    let file = BufReader::new(std::fs::File::open(path).unwrap());
    let lines = file.lines().map(|line| line.unwrap());
    lines
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}
