//! The lab's web service: axum in front of PostgreSQL, instrumented with USDT probes.

mod app;
mod cache;
mod context;
mod db;
mod error;
mod fault;
mod files;
mod handlers;
mod options;
mod probes;
mod render;
mod reply;
mod request_id;
mod routes;
mod server;
mod statement;
mod track;

use anyhow::Context as _;
use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = options::Options::parse();
    usdt::register_probes().context("cannot register the USDT probes")?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers)
        .enable_all()
        .build()
        .context("cannot start the tokio runtime")?
        .block_on(server::run(options))
}
