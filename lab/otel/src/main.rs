//! The lab's web service once more, instrumented as OpenTelemetry's users do it instead of with USDT
//! probes: `tracing` spans, exported in batches. Everything but the instrumentation is the app's own source.

#[path = "../../app/src/app.rs"]
mod app;
#[path = "../../app/src/cache.rs"]
mod cache;
#[path = "../../app/src/context.rs"]
mod context;
#[path = "../../app/src/db.rs"]
mod db;
#[path = "../../app/src/error.rs"]
mod error;
#[path = "../../app/src/fault.rs"]
mod fault;
#[path = "../../app/src/files.rs"]
mod files;
#[path = "../../app/src/handlers/mod.rs"]
mod handlers;
#[path = "../../app/src/options.rs"]
mod options;
#[path = "../../app/src/render.rs"]
mod render;
#[path = "../../app/src/reply.rs"]
mod reply;
#[allow(
    dead_code,
    reason = "the halves of an id are arguments of the USDT probes"
)]
#[path = "../../app/src/request_id.rs"]
mod request_id;
#[path = "../../app/src/routes.rs"]
mod routes;
#[path = "../../app/src/server.rs"]
mod server;
#[path = "../../app/src/statement.rs"]
mod statement;
#[path = "../../app/src/track.rs"]
mod track;

mod export;
/// In the place of the app's USDT probes.
#[path = "spans.rs"]
mod probes;

use anyhow::Context as _;
use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = options::Options::parse();
    let provider = export::install().context("cannot start OpenTelemetry's exporter")?;
    let served = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers)
        .enable_all()
        .build()
        .context("cannot start the tokio runtime")?
        .block_on(server::run(options));
    // What the collector no longer takes is of no use to whoever stopped the service.
    let _ = provider.shutdown();
    served
}
