//! The life of the service: connect, listen, serve, shut down.

use std::{
    future::{Future, IntoFuture as _},
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    ServiceExt as _,
    serve::{Listener, ListenerExt as _},
};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{app::App, cache::Cache, db, options::Options, routes};

/// How long a user stays in the cache.
const USER_TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// Serves until SIGTERM or SIGINT, then finishes the open requests.
///
/// # Errors
/// When PostgreSQL or an address cannot be had.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let pool = db::connect(&options).await?;
    let (listener, address) = listen(options.listen).await?;
    let local = options
        .listen_unix
        .as_deref()
        .map(listen_unix)
        .transpose()?;
    let grace = options.request_timeout + Duration::from_secs(1);
    let app = Arc::new(App {
        users: Cache::new("user", USER_TIME_TO_LIVE),
        pool: pool.clone(),
        options,
    });
    if app.options.faults {
        tokio::spawn(empty_caches(app.clone())?);
    }
    let service = routes::service(app);
    let (stopping, stopped) = watch::channel(false);
    tokio::spawn(async move {
        stop.await;
        stopping.send_replace(true);
    });
    let serving = axum::serve(listener, service.clone().into_make_service())
        .with_graceful_shutdown(set(stopped.clone()));
    let local_until = set(stopped.clone());
    let serving_locally = async {
        let Some(local) = local else { return Ok(()) };
        axum::serve(local, service.into_make_service())
            .with_graceful_shutdown(local_until)
            .await
    };
    announce(address)?;
    let finish = async {
        tokio::try_join!(serving.into_future(), serving_locally).context("the server failed")?;
        pool.close().await;
        Ok(())
    };
    tokio::select! {
        outcome = finish => outcome,
        // A request or statement that does not end must not hold up the end.
        () = after(set(stopped), grace) => {
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

/// A fault of its own: SIGUSR1 empties the caches.
fn empty_caches(app: Arc<App>) -> anyhow::Result<impl Future<Output = ()>> {
    let mut asked = signal(SignalKind::user_defined1()).context("cannot handle SIGUSR1")?;
    Ok(async move {
        while asked.recv().await.is_some() {
            app.users.clear();
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

fn listen_unix(path: &Path) -> anyhow::Result<UnixListener> {
    UnixListener::bind(path).with_context(|| {
        format!(
            "cannot listen on {}: choose another --listen-unix",
            path.display()
        )
    })
}

/// Prints the line that whoever started the service waits for.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready {address}")
        .and_then(|()| stdout.flush())
        .context("cannot write to stdout")
}

/// Resolves once `flag` is set.
async fn set(mut flag: watch::Receiver<bool>) {
    // Its other end gone means the same: nothing can stop the service any more but its end.
    let _ = flag.wait_for(|set| *set).await;
}

async fn after(stopped: impl Future<Output = ()>, grace: Duration) {
    stopped.await;
    tokio::time::sleep(grace).await;
}
