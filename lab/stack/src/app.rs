//! The app: one process, which says itself when it is ready.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use crate::{
    account::Account,
    error::{Error, Result},
    http::healthy,
    launch::{daemon, run, wait_ready},
    options::LabOptions,
    process::Role,
};

const LIMIT: Duration = Duration::from_secs(15);
/// The most rows that the app loads for a report.
const ROWS: usize = 50;
const TEMPLATE: &str = include_str!("../../app/templates/report.html");

/// The file to run: the app itself or, where it runs as somebody else, who may not reach a build
/// directory, a copy in the lab.
pub fn location(account: &Account, app: &Path, dir: &Path) -> PathBuf {
    if account.switches() {
        dir.join("app").join(app.file_name().unwrap_or_default())
    } else {
        app.to_path_buf()
    }
}

/// Puts the app at its [`location`].
pub fn install(account: &Account, app: &Path, dir: &Path) -> Result<PathBuf> {
    let target = location(account, app, dir);
    if target != app {
        // By another process: a child that is forked meanwhile would hold a file that this one writes,
        // and what is open for writing cannot be run.
        let mut install = Command::new("install");
        install
            .args(["-T", "-m", "0500"])
            .args([app, target.as_path()]);
        run(install)?;
        account.give(&target)?;
    }
    Ok(target)
}

/// Starts the app against PostgreSQL at `database`; it is not ready yet.
pub fn start(
    account: &Account,
    binary: &Path,
    options: &LabOptions,
    database: SocketAddr,
) -> Result<Child> {
    let home = options.dir.join("app");
    let template = home.join("report.html");
    account.write(&template, TEMPLATE)?;
    let rows = home.join("rows");
    write_rows(account, &rows)?;
    let mut command = account.command(binary);
    command
        .arg("--listen")
        .arg(SocketAddr::from((options.host(), options.ports.app)).to_string())
        .arg("--database-url")
        .arg(database_url(database, options.statement_timeout_ms))
        .arg("--request-timeout-ms")
        .arg(options.request_timeout_ms.to_string())
        .args(["--pool-size", &options.pool_size.to_string()])
        .args(["--workers", &options.app_workers.to_string()])
        .arg("--template")
        .arg(&template)
        .arg("--rows")
        .arg(&rows)
        .arg("--audit-log")
        .arg(home.join("audit.log"));
    let flags = [
        (options.truth, "--truth"),
        (options.faults, "--faults"),
        (options.n_plus_one, "--n-plus-one"),
    ];
    command.args(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag));
    if options.unix_upstream {
        command.arg("--listen-unix").arg(socket(&options.dir));
    }
    if !options.latency.is_empty() {
        command.args(["--latency", &options.latency]);
    }
    daemon(account, command, &home, &log(&options.dir))
}

/// A file for each row that a report can have.
fn write_rows(account: &Account, rows: &Path) -> Result<()> {
    std::fs::create_dir_all(rows).map_err(Error::io("make", rows))?;
    account.give(rows)?;
    for row in 1..=ROWS {
        let text = format!("<!-- what stands beside row {row} of a report -->\n");
        account.write(&rows.join(format!("{row}.html")), &text)?;
    }
    Ok(())
}

/// Where it listens for an nginx that reaches it by a Unix socket.
pub fn socket(dir: &Path) -> PathBuf {
    dir.join("app/app.sock")
}

fn database_url(database: SocketAddr, statement_timeout_ms: u64) -> String {
    // sqlx takes an IPv6 address only by itself, without the brackets that a URL puts around it.
    let address = database.ip();
    let mut url = format!("postgres://lab@{database}/lab?hostaddr={address}&sslmode=disable");
    if statement_timeout_ms > 0 {
        url += &format!("&options[statement_timeout]={statement_timeout_ms}");
    }
    url
}

/// Waits for its `ready ADDRESS` line and its health, and returns the address.
pub fn wait(child: &mut Child, dir: &Path) -> Result<SocketAddr> {
    let log = log(dir);
    wait_ready(Role::App, child, &log, LIMIT, || {
        let text = std::fs::read_to_string(&log).ok()?;
        let address = text.lines().find_map(|line| line.strip_prefix("ready "))?;
        address.parse().ok().filter(|address| healthy(*address))
    })
}

fn log(dir: &Path) -> PathBuf {
    dir.join("logs/app.log")
}
