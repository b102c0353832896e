//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;

use crate::fault::Latency;

/// The lab's web service. Prints `ready ADDRESS` on stdout once it accepts connections.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Unix socket to listen on as well
    #[arg(long, value_name = "PATH")]
    pub listen_unix: Option<PathBuf>,
    /// PostgreSQL, e.g. postgres://lab@127.0.0.1:5432/lab?sslmode=disable
    #[arg(long)]
    pub database_url: String,
    /// Connections to PostgreSQL, all opened before the service is ready
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub pool_size: u32,
    /// Tokio worker threads
    #[arg(long, default_value = "2", value_parser = positive)]
    pub workers: usize,
    /// HTML template of the report
    #[arg(long)]
    pub template: PathBuf,
    /// Directory with 1.html to 50.html, which the fault file_per_row reads; without it the template, again and again
    #[arg(long, value_name = "DIR")]
    pub rows: Option<PathBuf>,
    /// File that every order is appended to
    #[arg(long)]
    pub audit_log: PathBuf,
    /// A request that takes longer is answered with 504
    #[arg(long = "request-timeout-ms", default_value = "10000", value_name = "MS", value_parser = milliseconds)]
    pub request_timeout: Duration,
    /// Bind the request id to every parameterised statement, answer with X-Lab-Queries
    #[arg(long)]
    pub truth: bool,
    /// Load a user's orders one query at a time
    #[arg(long)]
    pub n_plus_one: bool,
    /// Honour the X-Lab-Fault request header; SIGUSR1 empties the caches
    #[arg(long)]
    pub faults: bool,
    /// Latency of every request per layer: db=MS,handler=MS,cpu=MS,file=MS
    #[arg(long, default_value = "", hide_default_value = true)]
    pub latency: Latency,
}

impl Options {
    /// The file of a report's `number`-th row, from 1 on.
    pub fn row(&self, number: usize) -> PathBuf {
        let rows = self.rows.as_ref();
        rows.map_or_else(
            || self.template.clone(),
            |rows| rows.join(format!("{number}.html")),
        )
    }
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "expected a number above 0".to_owned())
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_millis)
        .map_err(|_| "expected whole milliseconds".to_owned())
}
