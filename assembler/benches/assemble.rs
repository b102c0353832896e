//! Events per second that the assembler takes in on one core.
//!
//! `cargo bench -p tierscope-assembler` repeats the recordings of the tests, one after the other;
//! `cargo bench -p tierscope-assembler -- FILE` takes a recording of your own, once.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tierscope_assembler::{Assembler, Options};
use tierscope_model::{Body, Event, SocketCookie, Timestamp};
use tierscope_tracer::recording::Reader;

const REPEATS: u64 = 400;
/// So far apart that the requests of one repetition are built before the next begins. Nanoseconds.
const APART: u64 = 10_000_000_000;

fn read(path: &Path) -> Vec<Event> {
    let reader = Reader::open(path).expect("the recording opens");
    reader
        .collect::<Result<_, _>>()
        .expect("the recording reads")
}

/// The same again, at another time and on other sockets.
fn again(event: &Event, base: Timestamp, turn: u64) -> Event {
    let mut event = event.clone();
    let moved = |time: Timestamp| Timestamp(time.since(base)) + turn * APART;
    event.time = moved(event.time);
    let cookie = match &mut event.body {
        Body::Socket(socket) => &mut socket.cookie,
        Body::Recv(recv) => &mut recv.cookie,
        Body::Arrive(arrive) => &mut arrive.cookie,
        Body::Close(close) => &mut close.cookie,
        Body::Send(send) => {
            send.start = moved(send.start);
            &mut send.cookie
        }
        _ => return event,
    };
    *cookie = SocketCookie(cookie.0 + (turn << 32));
    event
}

fn main() {
    let own = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let events: Vec<Event> = match own.map(PathBuf::from) {
        Some(path) => read(&path),
        None => {
            let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
            let names = ["every_endpoint", "n_plus_one", "faults", "writes"];
            let recordings = names.map(|name| read(&data.join(format!("{name}.tsrec"))));
            let mut events = Vec::new();
            for (turn, recording) in (0..REPEATS).zip(recordings.iter().cycle()) {
                let base = recording.first().map_or(Timestamp(0), |event| event.time) - APART;
                events.extend(recording.iter().map(|event| again(event, base, turn)));
            }
            events
        }
    };
    let total = events.len() as f64;
    let begun = Instant::now();
    let mut assembler = Assembler::new(Vec::new(), String::new(), Options::default());
    for event in events {
        assembler.push(event);
        assembler.take();
    }
    let (_, counts) = assembler.finish();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{total} events in {seconds:.2} s: {:.0} events/s; {} traces, {} spans, {} orphans, {} late",
        total / seconds,
        counts.traces,
        counts.spans,
        counts.orphan_spans,
        counts.late_events
    );
}
