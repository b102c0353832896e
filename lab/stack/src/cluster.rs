//! Makes PostgreSQL's data directory: initdb, settings, schema, seed data.

use std::{fs::OpenOptions, io::Write as _};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    cache,
    error::{Error, Result},
    launch::{run, wait_ready},
    postgres::{self, Postgres},
    process::Role,
    psql::Server,
};

const SETTINGS: &str = include_str!("../../postgres/postgresql.conf");
const SCHEMA: &str = include_str!("../../postgres/schema.sql");
const SEED: &str = include_str!("../../postgres/seed.sql");
const ACCESS: &str = include_str!("../../postgres/pg_hba.conf");
const INITDB: &str = include_str!("../../postgres/initdb.options");
/// The role and the database, before the schema, and what ends the seeding.
const ROLE: &str = include_str!("../../postgres/role.sql");
const READY: &str = include_str!("../../postgres/ready.sql");
/// What a killed server leaves must lie in its directory, so no POSIX shared memory by name; the
/// second line keeps such segments off the disk as long as they are small.
const OWN_SETTINGS: &str = "dynamic_shared_memory_type = mmap\nmin_dynamic_shared_memory = 16MB\n";

/// Fills `postgres.data` with a seeded cluster, from the cache or for the first time.
pub fn provide(postgres: &Postgres, version: &str) -> Result<()> {
    let slot = cache::slot(
        version,
        &[
            SETTINGS,
            SCHEMA,
            SEED,
            ACCESS,
            OWN_SETTINGS,
            INITDB,
            ROLE,
            READY,
        ],
    );
    if cache::fetch(&slot, &postgres.data)? {
        return Ok(());
    }
    initialise(postgres)?;
    seed(postgres)?;
    cache::store(&postgres.data, &slot)
}

fn initialise(postgres: &Postgres) -> Result<()> {
    let data = &postgres.data;
    let mut initdb = postgres.account.command(postgres.bin.join("initdb"));
    // Inside the lab, where the take-down script finds it.
    initdb
        .args(INITDB.lines())
        .arg("--pgdata")
        .arg(data)
        .current_dir(postgres.socket_dir);
    run(initdb)?;
    let settings = data.join("postgresql.conf");
    OpenOptions::new()
        .append(true)
        .open(&settings)
        .and_then(|mut file| write!(file, "\n{SETTINGS}\n{OWN_SETTINGS}"))
        .map_err(Error::io("write", settings))?;
    let access = data.join("pg_hba.conf");
    std::fs::write(&access, ACCESS).map_err(Error::io("write", access))
}

/// Loads the tables through the socket: nobody else reaches the server meanwhile.
fn seed(postgres: &Postgres) -> Result<()> {
    let mut child = postgres.daemon("", postgres::SOCKET_PORT)?;
    let server = Server {
        account: postgres.account,
        bin: postgres.bin,
        host: postgres.socket_dir.display().to_string(),
        port: postgres::SOCKET_PORT,
    };
    let loaded = wait_ready(
        Role::Postgres,
        &mut child,
        &postgres.log,
        postgres::LIMIT,
        || server.answers("postgres", "postgres").then_some(()),
    )
    .and_then(|()| server.execute("postgres", "postgres", ROLE))
    .and_then(|()| server.execute("lab", "lab", SCHEMA))
    .and_then(|()| server.execute("lab", "lab", SEED))
    .and_then(|()| server.execute("postgres", "postgres", READY));
    // It is our child and not yet waited for, so the pid is still its own.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT);
    child.wait().map_err(Error::io("stop", &postgres.data))?;
    loaded
}
