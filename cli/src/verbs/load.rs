//! `tierscope load`: the load generator.

use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use tierscope_experiments::BEGINS;
use tierscope_loadgen::{LoadOptions, Mix, Mode, Step};

use crate::exit::Done;
use crate::terminal::{print, print_json};

/// Send a seeded mix of requests at a fixed rate; latency counts from the intended send time.
///
/// Ctrl-C ends it with a summary of what was sent, and exit 1.
#[derive(clap::Args)]
pub struct Args {
    /// Where to connect, e.g. 127.0.0.1:8080 or nginx:8080.
    #[arg(long, value_name = "ADDR", value_parser = parse_target)]
    target: Target,
    /// Requests per second (open loop).
    #[arg(long, default_value_t = 300.0, conflicts_with = "closed")]
    rate: f64,
    /// Another rate from some time on, e.g. 20:600; again for further ones.
    #[arg(long, value_name = "SECONDS:RATE", value_parser = parse_step, conflicts_with = "closed")]
    step: Vec<Step>,
    /// As many requests as the connections take (closed loop), for throughput.
    #[arg(long)]
    closed: bool,
    /// Seconds.
    #[arg(long, default_value_t = 20.0)]
    duration: f64,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Room for what came and was not read, per connection, in bytes; the kernel's own choice if left out.
    #[arg(long, value_name = "BYTES")]
    receive_buffer: Option<usize>,
    /// Same seed, same requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The mix (TOML); the default mix if left out.
    #[arg(long, value_name = "FILE")]
    mix: Option<PathBuf>,
    /// Leave out what writes: send the mix's GET requests only.
    #[arg(long)]
    read_only: bool,
    /// A share of an endpoint's requests carries X-Lab-Fault, e.g. search:0.02:db_ms=200; or, with
    /// slow_read_ms=N, their client lets the answer's first two parts lie for N ms each.
    #[arg(long, value_name = "ENDPOINT:SHARE:FAULT", value_parser = parse_fault)]
    fault: Vec<Fault>,
    /// One JSON line per request goes here.
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Wait for a line on standard input before connecting, so that a tracer can attach first; say
    /// on standard output when the first request is due; end with the process that started it.
    #[arg(long)]
    hold: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// A server, and what the client calls it.
#[derive(Clone, Debug)]
struct Target {
    address: SocketAddr,
    host: String,
}

fn parse_target(text: &str) -> Result<Target, String> {
    let mut found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    let address = found.next().ok_or("it has no address")?;
    Ok(Target {
        address,
        host: text.to_owned(),
    })
}

#[derive(Clone, Debug)]
struct Fault {
    endpoint: String,
    share: f64,
    header: String,
}

fn parse_fault(text: &str) -> Result<Fault, String> {
    let mut parts = text.splitn(3, ':');
    let (Some(endpoint), Some(share), Some(header)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err("expected ENDPOINT:SHARE:FAULT, e.g. search:0.02:db_ms=200".to_owned());
    };
    let share = share
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    let share = share.ok_or("the share must be 0 to 1")?;
    Ok(Fault {
        endpoint: endpoint.to_owned(),
        share,
        header: header.to_owned(),
    })
}

fn parse_step(text: &str) -> Result<Step, String> {
    let wrong = "expected SECONDS:RATE, e.g. 20:600";
    let (at, rate) = text.split_once(':').ok_or(wrong)?;
    let at = at
        .parse()
        .ok()
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    Ok(Step {
        at: at.ok_or(wrong)?,
        rate: rate.parse().map_err(|_| wrong)?,
    })
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Done> {
    let duration = Duration::try_from_secs_f64(args.duration).map_err(|_| {
        anyhow!(
            "--duration {}: expected seconds, above 0 and at most a year",
            args.duration
        )
    })?;
    if args.hold {
        // Whoever holds it owns it: it does not load on without its owner.
        set_pdeathsig(Signal::SIGKILL).context("cannot be bound to the life of the owner")?;
    }
    let mode = if args.closed {
        Mode::Closed
    } else {
        Mode::Open { rate: args.rate }
    };
    let options = LoadOptions {
        target: args.target.address,
        host: args.target.host.clone(),
        mode,
        steps: args.step.clone(),
        connections: args.connections,
        receive_buffer: args.receive_buffer,
        duration,
        seed: args.seed,
        mix: mix(&args)?,
        timeout: Duration::from_secs(10),
        records: args.records,
        hold: args.hold,
        begun: args.hold.then_some(tell_start),
    };
    let summary = tierscope_loadgen::run(&options, std::io::stderr().is_terminal())?;
    if args.json {
        print_json(&summary)?
    } else {
        print(&summary.to_string())?
    }
    // Less was sent than asked for.
    Ok(if summary.interrupted {
        Done::Failed
    } else {
        Done::Well
    })
}

/// For the owner: `begins 81234567890`, CLOCK_MONOTONIC in nanoseconds.
fn tell_start(nanos: u64) {
    // An owner that is gone has ended this process, too.
    let _ = print(&format!("{BEGINS}{nanos}\n"));
}

fn mix(args: &Args) -> anyhow::Result<Mix> {
    let mut mix = match &args.mix {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Mix::from_toml(&text).with_context(|| path.display().to_string())?
        }
        None => Mix::default(),
    };
    if args.read_only {
        mix = mix.read_only()?;
    }
    for fault in &args.fault {
        mix = mix.with_fault(&fault.endpoint, fault.share, &fault.header)?;
    }
    Ok(mix)
}
