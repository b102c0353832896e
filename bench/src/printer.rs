//! The first process of the pipeline: every event of the lab as a line of JSON on standard output.

use std::{
    io::{BufWriter, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use signal_hook::consts::SIGINT;
use tierscope_stack::Lab;
use tierscope_tracer::{Service, Tracer, TracerOptions, decode};

use crate::line::Line;

/// As often as the recorder looks.
const DRAIN: Duration = Duration::from_millis(20);

/// Prints until it is interrupted. Says `ready` on standard error when everything is attached.
pub fn run(lab: &Path) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, stop.clone()).context("cannot catch signals")?;
    let mut tracer = Tracer::start(TracerOptions {
        services: services(lab)?,
        ..TracerOptions::default()
    })?;
    eprintln!("ready");
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut last = false;
    while !last {
        last = stop.load(Ordering::Relaxed);
        print_all(&mut tracer, &mut out).context("whoever reads the events has gone")?;
        std::thread::sleep(DRAIN);
    }
    Ok(())
}

/// The processes of a lab.
pub fn services(lab: &Path) -> anyhow::Result<Vec<Service>> {
    let lab = Lab::open(lab)?;
    let service = |process: &tierscope_stack::ProcessRecord| Service {
        name: process.role.to_string(),
        pids: vec![process.pid],
        binary: None,
    };
    Ok(lab.processes().iter().map(service).collect())
}

fn print_all(tracer: &mut Tracer, out: &mut impl Write) -> std::io::Result<()> {
    let mut outcome = Ok(());
    tracer.drain(&mut |record| {
        if let (Ok(()), Ok(event)) = (&outcome, decode(record)) {
            outcome = serde_json::to_writer(&mut *out, &Line::from(&event))
                .map_err(std::io::Error::from)
                .and_then(|()| out.write_all(b"\n"));
        }
    });
    outcome.and_then(|()| out.flush())
}
