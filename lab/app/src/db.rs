//! The one place that acquires connections and runs statements, each between its probes.

use std::{future::Future, str::FromStr, time::Duration};

use anyhow::Context as _;
use sqlx::{
    ConnectOptions as _, Connection as _, FromRow, PgConnection, PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
    query::Query,
};

use crate::{context::Context, error::Error, options::Options, probes, statement::Statement};

/// A statement whose parameters are being bound.
pub type Bound = Query<'static, Postgres, PgArguments>;

/// A pool with all its connections open.
///
/// # Errors
/// When the URL is invalid or PostgreSQL does not take the connections.
pub async fn connect(options: &Options) -> anyhow::Result<PgPool> {
    let target = PgConnectOptions::from_str(&options.database_url)
        .with_context(|| format!("--database-url {} is invalid", options.database_url))?
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(options.pool_size)
        .min_connections(options.pool_size)
        // The ping before each use would be one more exchange per request.
        .test_before_acquire(false)
        .connect_with(target)
        .await
        .with_context(|| format!("cannot connect to {}", options.database_url))?;
    fill(&pool, options.pool_size).await?;
    Ok(pool)
}

/// Holds `size` connections at once, so that the pool has opened them all.
async fn fill(pool: &PgPool, size: u32) -> anyhow::Result<()> {
    let mut held = Vec::new();
    for _ in 0..size {
        held.push(pool.acquire().await.with_context(|| {
            format!("cannot open {size} connections: lower --pool-size or raise max_connections")
        })?);
    }
    Ok(())
}

/// Waits for a pooled connection.
pub async fn acquire(pool: &PgPool, context: &Context) -> Result<PoolConnection<Postgres>, Error> {
    let _waiting = probes::acquire(context.id);
    Ok(pool.acquire().await?)
}

/// Runs a statement and returns all its rows.
pub async fn fetch<T>(
    context: &Context,
    connection: &mut PgConnection,
    statement: &Statement,
    bind: impl FnOnce(Bound) -> Bound,
) -> Result<Vec<T>, Error>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    let pause = context
        .db
        .take()
        .or_else(|| statement.sleeps().then_some(Duration::ZERO));
    let text = statement.text(context.truth, pause.is_some());
    let mut query = bind(sqlx::query(text));
    if context.truth {
        query = query.bind(context.id.to_string());
    }
    if let Some(pause) = pause {
        query = query.bind(pause.as_secs_f64());
    }
    let rows = probed(context, text, query.fetch_all(connection), Vec::len).await?;
    Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
}

/// Opens a transaction. Dropped, it is rolled back by sqlx when the connection is released.
pub async fn begin<'c>(
    context: &Context,
    connection: &'c mut PgConnection,
) -> Result<Transaction<'c, Postgres>, Error> {
    probed(context, "BEGIN", connection.begin(), |_| 0).await
}

/// Commits a transaction.
pub async fn commit(
    context: &Context,
    transaction: Transaction<'_, Postgres>,
) -> Result<(), Error> {
    probed(context, "COMMIT", transaction.commit(), |_| 0).await
}

/// Fires the query probes around `work`: the start in the same poll in which `work` is first
/// polled, which is when sqlx writes to the socket.
async fn probed<T>(
    context: &Context,
    text: &str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
    rows: impl FnOnce(&T) -> usize,
) -> Result<T, Error> {
    context.count_statement();
    let probe = probes::query(context.id, text);
    let outcome = work.await?;
    probe.finish(rows(&outcome) as u64);
    Ok(outcome)
}
