//! `tierscope doctor`: what this host allows, and what to do about what it does not.

use std::fmt::Write;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tierscope_experiments::Progress;
use tierscope_stack::{Lab, LabOptions, Role};
use tierscope_tracer::host::{Check, HookCheck, HostReport, probe_host, usdt_fires};

use crate::exit::Done;
use crate::terminal::{print, print_json};

/// Say what this host allows (kernel, hooks, USDT, tools, privileges, ports, disk) and what to do about each no.
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A recording of a busy minute, with room.
const DISK_WANTED: u64 = 1 << 30;

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    ok: bool,
    required: bool,
    detail: String,
    remedy: String,
}

impl Row {
    fn new(
        what: impl Into<String>,
        required: bool,
        found: Result<String, String>,
        remedy: &str,
    ) -> Row {
        let ok = found.is_ok();
        let remedy = if ok { String::new() } else { remedy.to_owned() };
        Row {
            what: what.into(),
            ok,
            required,
            detail: found.unwrap_or_else(|why| why),
            remedy,
        }
    }
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let step = Progress::on_terminal().step("asking the kernel");
    let report = probe_host();
    let mut rows = host_rows(&report);
    rows.extend([ports(), disk(&std::env::current_dir()?)]);
    step.finish();
    let step = Progress::on_terminal().step("starting a lab to see its probes fire");
    rows.extend(lab_rows(report.can_trace()));
    step.finish();
    if args.json {
        print_json(&rows)?;
    } else {
        print(&table(&rows)?)?;
    }
    let able = rows.iter().all(|row| row.ok || !row.required);
    Ok(if able { Done::Well } else { Done::Unable })
}

fn host_rows(report: &HostReport) -> Vec<Row> {
    let check_row = |check: &Check| {
        let found = if check.ok {
            Ok(check.detail.clone())
        } else {
            Err(check.detail.clone())
        };
        Row::new(check.what, check.required, found, check.remedy)
    };
    let checks = report.checks.iter().map(check_row);
    checks.chain(report.hooks.iter().map(hook_row)).collect()
}

fn hook_row(hook: &HookCheck) -> Row {
    let found = match hook.taken() {
        Some(taken) => Ok(format!("takes {}", taken.form)),
        None => Err(refusals(hook)),
    };
    Row::new(
        format!("hook: {}", hook.event),
        hook.without.is_none(),
        found,
        "boot another kernel, from 6.1 on with BTF, as Debian's are",
    )
}

/// What a trace will lack, and a line for each form that the kernel does not allow.
fn refusals(hook: &HookCheck) -> String {
    let mut text = hook.without.unwrap_or("tracing needs it").to_owned();
    for form in &hook.forms {
        let why = form.refusal.as_deref().unwrap_or_default();
        text += &format!("\n{}: {why}", form.form);
    }
    text
}

fn ports() -> Row {
    let found = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let found = found
        .map(|addr| format!("free, e.g. {}", addr.port()))
        .map_err(|e| e.to_string());
    Row::new(
        "loopback ports",
        true,
        found,
        "bring the loopback interface up: ip link set lo up",
    )
}

fn disk(dir: &Path) -> Row {
    let free = nix::sys::statvfs::statvfs(dir).map(|s| s.blocks_available() * s.fragment_size());
    let found = match free {
        Ok(bytes) if bytes >= DISK_WANTED => Ok(format!("{} MiB free here", bytes >> 20)),
        Ok(bytes) => Err(format!("{} MiB free here", bytes >> 20)),
        Err(error) => Err(error.to_string()),
    };
    Row::new(
        "disk",
        false,
        found,
        "make 1 GiB free, or run elsewhere with --runs DIR",
    )
}

/// Tools are checked by using them: the lab is started, and the app's probes must fire.
fn lab_rows(can_trace: bool) -> Vec<Row> {
    let dir = std::path::PathBuf::from(format!("/var/tmp/tierscope-doctor-{}", std::process::id()));
    let lab = match Lab::up(LabOptions {
        owned: true,
        ..LabOptions::new(dir)
    }) {
        Ok(lab) => lab,
        Err(error) => {
            return vec![Row::new(
                "lab",
                true,
                Err(error.to_string()),
                "cure that; `make demo` installs what is missing",
            )];
        }
    };
    let mut rows: Vec<_> = lab
        .processes()
        .iter()
        .map(|p| {
            let found = Ok(format!("{}, serves on {}", p.version, p.listen));
            Row::new(format!("lab: {}", p.role), true, found, "")
        })
        .collect();
    if can_trace {
        rows.extend([Role::App, Role::Postgres].map(|role| usdt_row(&lab, role)));
    }
    if let Err(error) = lab.down() {
        rows.push(Row::new(
            "lab down",
            false,
            Err(error.to_string()),
            "tierscope lab down",
        ));
    }
    rows
}

fn usdt_row(lab: &Lab, role: Role) -> Row {
    let what = format!("USDT: {role}");
    let remedy = "link the app with -z separate-loadable-segments (see .cargo/config.toml); install Debian's postgresql";
    let found = fired(lab, role).and_then(|fired| {
        let silent: Vec<_> = fired
            .iter()
            .filter(|(_, fired)| !fired)
            .map(|(name, _)| name.as_str())
            .collect();
        let firing = fired.len() - silent.len();
        let mut summary = format!("{firing} of {} probes fired", fired.len());
        if !silent.is_empty() {
            summary += &format!("; had no reason to: {}", silent.join(", "));
        }
        // Some fire on faults only (lock waits, aborts): none at all is what must not be.
        if firing > 0 {
            Ok(summary)
        } else {
            Err(summary)
        }
    });
    Row::new(what, true, found, remedy)
}

fn fired(lab: &Lab, role: Role) -> Result<Vec<(String, bool)>, String> {
    let process = lab
        .processes()
        .iter()
        .find(|p| p.role == role)
        .ok_or("not running")?;
    let addr = lab.nginx_addr().map_err(|e| e.to_string())?;
    usdt_fires(process.pid, || exercise(addr)).map_err(|e| e.to_string())
}

/// One request of each kind, so that every probe of the usual paths has a reason to fire.
fn exercise(addr: SocketAddr) {
    let order = r#"{"user_id":1,"product_id":1,"quantity":1}"#;
    let post = format!(
        "POST /api/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{order}",
        order.len()
    );
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for request in [
        get("/api/users/1"),
        get("/api/users/1"),
        get("/api/report/1"),
        post,
    ] {
        // A request that fails shows as probes that did not fire.
        let _ = exchange(addr, &request);
    }
}

fn exchange(addr: SocketAddr, request: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    std::io::Write::write_all(&mut stream, request.as_bytes())?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn table(rows: &[Row]) -> anyhow::Result<String> {
    let mut text = String::new();
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let below = format!("\n       {:<width$}  ", "");
    for row in rows {
        let mark = match (row.ok, row.required) {
            (true, _) => "yes",
            (false, true) => "NO ",
            (false, false) => "no ",
        };
        let detail = row.detail.trim_end().replace('\n', &below);
        writeln!(text, "  {mark}  {:<width$}  {detail}", row.what)?;
        if !row.ok {
            writeln!(text, "       {:<width$}  → {}", "", row.remedy)?;
        }
    }
    let able = rows.iter().all(|row| row.ok || !row.required);
    text += if able {
        "\n`tierscope run` can run here\n"
    } else {
        "\n`tierscope run` cannot run here until each NO is cured\n"
    };
    Ok(text)
}
