//! What several tests need: reading recordings and running the assembler over events.

pub mod messages;
pub mod world;

use std::path::{Path, PathBuf};

use tierscope_assembler::{Assembled, Assembler, Counts, Options};
use tierscope_model::{Event, Trace};
use tierscope_tracer::recording::Reader;

/// A recording's events, and the names of its services.
pub struct Recording {
    pub services: Vec<String>,
    pub events: Vec<Event>,
}

/// Where the recordings and golden files are.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Reads `tests/data/{name}.tsrec`.
pub fn recording(name: &str) -> Recording {
    let path = data().join(format!("{name}.tsrec"));
    let reader = Reader::open(&path).expect("the recording opens");
    let services = reader.header().services.iter();
    let services = services.map(|service| service.name.clone()).collect();
    let events = reader
        .collect::<Result<_, _>>()
        .expect("the recording reads");
    Recording { services, events }
}

/// Assembles all events at once.
pub fn assemble(
    services: &[String],
    events: Vec<Event>,
    options: Options,
) -> (Vec<Assembled>, Counts) {
    let mut assembler = Assembler::new(services.to_vec(), "lab".to_owned(), options);
    let mut out = Vec::new();
    for event in events {
        assembler.push(event);
        out.extend(assembler.take());
    }
    let (rest, counts) = assembler.finish();
    out.extend(rest);
    (out, counts)
}

/// The trace within.
pub fn trace(assembled: &Assembled) -> &Trace {
    match assembled {
        Assembled::Request(trace) | Assembled::Apart(trace) => trace,
    }
}

/// Deals the events of each 50 ms out in another order, by a linear congruential generator.
pub fn shuffled(events: &[Event], mut seed: u64) -> Vec<Event> {
    let mut keyed: Vec<(u64, u64, &Event)> = Vec::new();
    for event in events {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        keyed.push((event.time.0 / 50_000_000, seed >> 32, event));
    }
    keyed.sort_by_key(|k| (k.0, k.1));
    keyed.into_iter().map(|k| k.2.clone()).collect()
}
