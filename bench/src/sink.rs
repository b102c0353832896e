//! A collector that reads what OpenTelemetry's exporter sends, and drops it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use axum::{Router, body::Bytes, routing::post};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

/// Where the SDK sends to by default.
pub const ADDRESS: &str = "127.0.0.1:4318";

/// Takes `/v1/traces` until standard input ends, then prints how many bytes that were. Says `ready` on
/// standard error once it listens.
pub fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the tokio runtime")?;
    let bytes = runtime.block_on(serve())?;
    println!("{bytes}");
    Ok(())
}

async fn serve() -> anyhow::Result<u64> {
    let listener = TcpListener::bind(ADDRESS)
        .await
        .with_context(|| format!("{ADDRESS} is taken: end the collector that listens there"))?;
    eprintln!("ready");
    let total = Arc::new(AtomicU64::new(0));
    let counted = total.clone();
    let take = move |body: Bytes| async move {
        counted.fetch_add(body.len() as u64, Ordering::Relaxed);
    };
    let service = Router::new().route("/v1/traces", post(take));
    let ended = async {
        // Nothing is ever sent: only its end matters.
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    tokio::select! {
        served = axum::serve(listener, service) => served.context("the collector failed")?,
        () = ended => {}
    }
    Ok(total.load(Ordering::Relaxed))
}
