//! PostgreSQL's own probes and its protocol, on a private server under pgbench.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown};
use tierscope_tracer::Service;
use tierscope_tracer::host::usdt_fires;
use tierscope_tracer::usdt::note;
use tierscope_tracer::usdt::probe::{POSTGRES, PROBES, Probe, Site};
use tierscope_tracer::wire_record::*;

use crate::records::Records;
use crate::{can_trace, trace_services};

const CLIENTS: usize = 4;
const TRANSACTIONS: usize = 50;

/// Where Debian puts the server's programs; the newest version.
pub fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let found = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .max();
    if found.is_none() {
        println!("skipped: no PostgreSQL in /usr/lib/postgresql");
    }
    found
}

/// A server in a directory of its own, as the user `postgres`: it refuses to run as root.
pub struct Server {
    bin: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Server {
    pub fn start(bin: PathBuf) -> Self {
        let user = User::from_name("postgres")
            .expect("users")
            .expect("user postgres");
        let directory = tempfile::tempdir().expect("directory");
        chown(directory.path(), Some(user.uid), Some(user.gid)).expect("chown");
        let as_postgres = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command
                .uid(user.uid.as_raw())
                .gid(user.gid.as_raw())
                .current_dir(directory.path());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let data = directory.path().join("data");
        let init = as_postgres("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-A", "trust", "-U", "lab", "-N"])
            .status();
        assert!(init.expect("initdb").success());
        let port = free_port();
        let child = as_postgres("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-k", ""])
            .args(["-p", &port.to_string()])
            .spawn()
            .expect("postgres");
        let server = Self {
            bin,
            directory,
            port,
            child,
        };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&self) {
        for _ in 0..100 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
                && self.pgbench(&["-i", "-q"])
            {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!(
            "PostgreSQL did not start in {}",
            self.directory.path().display()
        );
    }

    /// The client's command line, in front of which a shell waits for a line of input.
    fn client(&self, args: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "read go; exec \"$@\"", "gate"])
            .arg(self.bin.join("pgbench"))
            .args(args);
        command.args([
            "-h",
            "127.0.0.1",
            "-U",
            "lab",
            "-p",
            &self.port.to_string(),
            "postgres",
        ]);
        command
            .env("PGSSLMODE", "disable")
            .env("PGGSSENCMODE", "disable");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The server process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What psql prints for these statements, one after the other in one session, a line per row.
    pub fn psql(&self, statements: &[&str]) -> Vec<String> {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-XAtqh", "127.0.0.1", "-U", "lab", "-p"]);
        command.args([&self.port.to_string(), "postgres"]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        let output = command.output().expect("psql");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    fn pgbench(&self, args: &[&str]) -> bool {
        run(self.client(args).spawn().expect("pgbench"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Immediate shutdown: nothing is worth keeping.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}

/// Opens a client's gate and waits for its end.
fn run(mut client: Child) -> bool {
    drop(client.stdin.take());
    client.wait().expect("wait").success()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    listener.local_addr().expect("address").port()
}

#[test]
fn every_note_of_the_stock_server_parses() {
    let Some(bin) = binaries() else { return };
    let notes = note::read(&bin.join("postgres")).expect("notes");
    assert!(notes.len() >= 60, "{}", notes.len());
    for note in &notes {
        assert_eq!(note.provider, POSTGRES);
        assert!(note.offset > 0 && note.semaphore > 0, "{note:?}");
        assert!(note.args.is_ok(), "{note:?}");
    }
    let noted = |probe: &&Probe| probe.provider == POSTGRES && probe.site == Site::Usdt;
    for probe in PROBES.iter().filter(noted) {
        assert!(
            notes.iter().any(|note| note.name == probe.name),
            "{}",
            probe.name
        );
    }
}

#[test]
fn a_binary_cut_short_is_an_error() {
    let Some(bin) = binaries() else { return };
    let whole = fs::read(bin.join("postgres")).expect("binary");
    assert!(note::parse(&[][..]).is_err());
    for len in [16, 64, 1000, whole.len() / 2, whole.len() - 1] {
        assert!(note::parse(&whole[..len]).is_err(), "{len}");
    }
    assert!(note::read(Path::new("/proc/self/status")).is_err());
}

#[test]
fn probes_and_protocol_under_pgbench() {
    if !can_trace() {
        return;
    }
    let Some(bin) = binaries() else { return };
    // The probes are put in place first: the server and its backends start later.
    let service = Service {
        name: "postgres".into(),
        pids: Vec::new(),
        binary: Some(bin.join("postgres")),
    };
    let mut tracer = trace_services(vec![service], 16 << 20);
    for report in tracer.hooks() {
        assert!(report.attached, "{report:?}");
    }
    let server = Server::start(bin);
    let (clients, transactions) = (CLIENTS.to_string(), TRANSACTIONS.to_string());
    let args = ["-n", "-M", "prepared", "-c", &clients, "-t", &transactions];
    let client = server.client(&args).spawn().expect("client");
    for pid in [server.child.id(), client.id()] {
        tracer.add_process(0, pid).expect("process");
    }
    assert!(run(client));
    // The last backends may still be on their way out.
    thread::sleep(Duration::from_millis(200));
    for stats in tracer.stats().iter().filter(|stats| stats.runs > 0) {
        println!(
            "{:>16} {:>9} runs {:>6} ns",
            stats.program,
            stats.runs,
            stats.time_ns / stats.runs
        );
    }
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    check_probes(&records);
    check_connections(&records);
    check_firing(&server);
}

/// What `doctor` asks.
fn check_firing(server: &Server) {
    let fired = usdt_fires(server.child.id(), || {
        assert!(server.pgbench(&["-n", "-t", "1"]))
    });
    let fired = fired.expect("tracing");
    let probes = PROBES.iter().filter(|probe| probe.provider == POSTGRES);
    assert_eq!(fired.len(), probes.count());
    let of = |name: &str| {
        fired
            .iter()
            .find(|(probe, _)| probe == name)
            .expect("probe")
            .1
    };
    assert!(of("postgresql:query__execute__start"));
    assert!(
        !of("postgresql:transaction__abort"),
        "nothing was rolled back"
    );
}

fn check_probes(records: &Records) {
    let count = |probe| records.texts_of(probe).len();
    let made = CLIENTS * TRANSACTIONS;
    assert!(count(TS_PROBE_PG_EXECUTE_START) >= 5 * made);
    assert_eq!(
        count(TS_PROBE_PG_EXECUTE_START),
        count(TS_PROBE_PG_EXECUTE_DONE)
    );
    assert_eq!(
        count(TS_PROBE_PG_PARSE_START),
        count(TS_PROBE_PG_PARSE_DONE)
    );
    assert!(count(TS_PROBE_PG_TRANSACTION_COMMIT) >= made);
    assert_eq!(
        count(TS_PROBE_PG_LOCK_WAIT_START),
        count(TS_PROBE_PG_LOCK_WAIT_DONE)
    );
    // Three updates and an insert in each transaction.
    assert!(count(TS_PROBE_PG_MODIFY_START) >= 4 * made);
    assert_eq!(
        count(TS_PROBE_PG_MODIFY_START),
        count(TS_PROBE_PG_MODIFY_DONE)
    );
    let updates = records.texts_of(TS_PROBE_PG_EXECUTE_START);
    let updates = updates
        .iter()
        .filter(|sql| sql.starts_with("UPDATE pgbench_tellers SET tbalance"));
    assert!(updates.count() >= made, "the SQL of each execution");
    let parsed = records.texts_of(TS_PROBE_PG_PARSE_START);
    let parsed = parsed
        .iter()
        .filter(|sql| sql.starts_with("INSERT INTO pgbench_history"));
    assert_eq!(parsed.count(), CLIENTS, "prepared once per connection");
}

fn check_connections(records: &Records) {
    let ours = records
        .sockets
        .iter()
        .filter(|s| u32::from(s.role) == TS_ROLE_CONNECT);
    let mut busy = 0;
    for client in ours {
        let pair = records.pair(client.local_port);
        records.check_pair(&pair);
        check_protocol(
            records,
            pair.client.cookie,
            TS_PROTOCOL_PG_FRONTEND,
            b"PBQpXS\0",
        );
        check_protocol(
            records,
            pair.server.cookie,
            TS_PROTOCOL_PG_BACKEND,
            b"RSTZC123DNE",
        );
        busy += usize::from(records.sends_of(client.cookie).len() > TRANSACTIONS);
    }
    assert_eq!(busy, CLIENTS);
}

fn check_protocol(records: &Records, cookie: u64, protocol: u32, tags: &[u8]) {
    for send in records.sends_of(cookie) {
        assert_eq!(u32::from(send.fixed.protocol), protocol);
        assert!(tags.contains(&send.head[0]), "{:?}", send.head);
    }
}
