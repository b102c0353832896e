//! `tierscope lab`: nginx, the app and PostgreSQL, up, down, and how they are.

use std::path::PathBuf;

use tierscope_stack::{Lab, LabOptions, Ports, Status};

use crate::exit::Done;
use crate::terminal::{print, print_json};

/// Start, stop or look at the lab: nginx, the app and PostgreSQL as ordinary processes.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Its private directory.
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Start it, or find it running.
    Up(Up),
    /// Stop it and remove its directory.
    Down,
    /// Say how it is; exit 1 where it does not serve.
    Status,
}

#[derive(clap::Args)]
struct Up {
    /// Port of nginx; a free one if left out.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Bind the request id to every parameterised statement, so that stitching can be scored.
    #[arg(long)]
    truth: bool,
    /// Honour the X-Lab-Fault request header.
    #[arg(long)]
    faults: bool,
    /// Load a user's orders one by one.
    #[arg(long)]
    n_plus_one: bool,
    /// Listen on ::1 instead of 127.0.0.1, all three.
    #[arg(long)]
    ipv6: bool,
    /// Let nginx reach the app by a Unix socket, which is not traced.
    #[arg(long)]
    unix_upstream: bool,
    /// Connections of the app to PostgreSQL.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=90))]
    pool_size: u32,
    /// The app answers a request that takes longer with 504.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    request_timeout: u64,
    /// PostgreSQL cancels a statement that takes longer; 0 for never.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    statement_timeout: u64,
    /// Artificial latency per layer of the app in milliseconds, e.g. db=5,handler=2,cpu=1,file=3.
    #[arg(
        long,
        value_name = "LAYER=MS,…",
        default_value = "",
        hide_default_value = true
    )]
    latency: String,
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Done> {
    let dir = args.dir.unwrap_or_else(LabOptions::default_dir);
    match args.what {
        What::Up(up) => {
            let options = LabOptions {
                ports: Ports {
                    nginx: up.port,
                    ..Ports::default()
                },
                truth: up.truth,
                faults: up.faults,
                n_plus_one: up.n_plus_one,
                ipv6: up.ipv6,
                unix_upstream: up.unix_upstream,
                pool_size: up.pool_size,
                request_timeout_ms: up.request_timeout,
                statement_timeout_ms: up.statement_timeout,
                latency: up.latency,
                ..LabOptions::new(dir)
            };
            let lab = Lab::up(options)?;
            tell(&Lab::status(lab.dir())?, args.json)
        }
        What::Down => {
            Lab::open(&dir)?.down()?;
            if !args.json {
                print(&format!("the lab in {} is down\n", dir.display()))?;
            }
            Ok(Done::Well)
        }
        What::Status => tell(&Lab::status(&dir)?, args.json),
    }
}

fn tell(status: &Status, json: bool) -> anyhow::Result<Done> {
    if json {
        print_json(status)?;
    } else {
        print(&table(status))?;
    }
    Ok(if status.serving() {
        Done::Well
    } else {
        Done::Failed
    })
}

fn table(status: &Status) -> String {
    let mut text = format!("lab in {}\n", status.dir.display());
    for process in &status.processes {
        let state = match (process.alive, process.ready) {
            (true, true) => "serving",
            (true, false) => "not ready",
            (false, _) => "dead",
        };
        text += &format!(
            "  {:<9} {:<9} pid {:<8} {}\n",
            process.role.to_string(),
            state,
            process.pid,
            process.listen
        );
    }
    text
}
