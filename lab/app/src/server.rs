//! The life of the service: connect, listen, serve, shut down.

use std::{future::Future, io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    ServiceExt as _,
    serve::{Listener, ListenerExt as _},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{app::App, cache::Cache, db, options::Options, routes};

/// How long a user stays in the cache.
const USER_TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// Serves until SIGTERM or SIGINT, then finishes the open requests.
///
/// # Errors
/// When PostgreSQL or the address cannot be had.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let pool = db::connect(&options).await?;
    let (listener, address) = listen(options.listen).await?;
    let grace = options.request_timeout + Duration::from_secs(1);
    let app = Arc::new(App {
        users: Cache::new("user", USER_TIME_TO_LIVE),
        pool: pool.clone(),
        options,
    });
    let (stopping, stopped) = oneshot::channel();
    let serving = axum::serve(listener, routes::service(app).into_make_service())
        .with_graceful_shutdown(async {
            stop.await;
            let _ = stopping.send(());
        });
    announce(address)?;
    let finish = async {
        serving.await.context("the server failed")?;
        pool.close().await;
        Ok(())
    };
    tokio::select! {
        outcome = finish => outcome,
        // A request or statement that does not end must not hold up the end.
        () = after(stopped, grace) => {
            eprintln!("connections still open after {grace:?} were cut");
            Ok(())
        }
    }
}

/// Installs the handlers at once; the future resolves at the first signal.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn listen(
    address: SocketAddr,
) -> anyhow::Result<(impl Listener<Addr = SocketAddr>, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another --listen"))?;
    let address = listener.local_addr().context("cannot tell the address")?;
    let listener = listener.tap_io(|stream| {
        // A socket that refuses the option still serves.
        let _ = stream.set_nodelay(true);
    });
    Ok((listener, address))
}

/// Prints the line that whoever started the service waits for.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready {address}")
        .and_then(|()| stdout.flush())
        .context("cannot write to stdout")
}

async fn after(stopped: oneshot::Receiver<()>, grace: Duration) {
    let _ = stopped.await;
    tokio::time::sleep(grace).await;
}
