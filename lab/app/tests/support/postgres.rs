//! A seeded PostgreSQL in a private directory, shared by the tests of one binary.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tempfile::TempDir;

use super::package_file;

/// A running server; stopped and removed when the last test drops it.
pub struct Postgres {
    directory: TempDir,
    binaries: PathBuf,
    pub port: u16,
}

static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

impl Postgres {
    /// The server that other tests use at this moment, else a new one; `None` where PostgreSQL is
    /// not installed.
    pub fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let Some(binaries) = binaries() else {
            println!("skipped: no PostgreSQL server binaries under /usr/lib/postgresql");
            return None;
        };
        let server = Arc::new(Self::start(binaries));
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    fn start(binaries: PathBuf) -> Self {
        let directory = TempDir::new().expect("temporary directory");
        give_away(directory.path());
        let server = Self {
            directory,
            binaries,
            port: free_port(),
        };
        server.initialise();
        server.seed();
        server
    }

    fn initialise(&self) {
        let data = self.data();
        self.run(
            "initdb",
            &["-D", &data, "--no-sync", "-A", "trust", "-U", "lab"],
        );
        let settings = package_file("../postgres/postgresql.conf");
        let settings = fs::read_to_string(settings).expect("the lab's postgresql.conf");
        let path = Path::new(&data).join("postgresql.conf");
        let defaults = fs::read_to_string(&path).expect("initdb's postgresql.conf");
        fs::write(&path, defaults + &settings).expect("write postgresql.conf");
        let log = format!("{data}/log");
        let options = format!("-p {} -c unix_socket_directories={data}", self.port);
        self.run(
            "pg_ctl",
            &["-D", &data, "-w", "-l", &log, "-o", &options, "start"],
        );
    }

    fn seed(&self) {
        self.psql("postgres", &["-c", "CREATE DATABASE lab"]);
        for file in ["../postgres/schema.sql", "../postgres/seed.sql"] {
            self.psql("lab", &["-f", &package_file(file).display().to_string()]);
        }
    }

    /// What the service is given to connect.
    pub fn url(&self) -> String {
        format!("postgres://lab@127.0.0.1:{}/lab?sslmode=disable", self.port)
    }

    /// The unaligned output of one SQL command in the lab's database.
    pub fn query(&self, sql: &str) -> String {
        self.psql("lab", &["-At", "-c", sql])
    }

    fn psql(&self, database: &str, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new(self.binaries.join("psql"))
            .args(["-X", "-q", "-h", "127.0.0.1", "-p", &port, "-U", "lab"])
            .args(["-v", "ON_ERROR_STOP=1", "-d", database])
            .args(arguments)
            .output()
            .expect("run psql");
        assert!(output.status.success(), "psql: {output:?}");
        String::from_utf8(output.stdout)
            .expect("psql prints UTF-8")
            .trim()
            .to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        // PostgreSQL refuses to run as root.
        let mut command = if nix::unistd::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
            command.arg(self.binaries.join(program));
            command
        } else {
            Command::new(self.binaries.join(program))
        };
        let status = command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdout(Stdio::null())
            .status()
            .expect("run a PostgreSQL program");
        assert!(status.success(), "{program} {arguments:?}: {status}");
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        self.run("pg_ctl", &["-D", &data, "-w", "-m", "immediate", "stop"]);
    }
}

/// The newest installed server's programs.
fn binaries() -> Option<PathBuf> {
    fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|path| path.join("postgres").exists())
        .max_by_key(|path| version(path))
}

fn version(binaries: &Path) -> Option<u32> {
    binaries.parent()?.file_name()?.to_str()?.parse().ok()
}

fn give_away(directory: &Path) {
    if nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_name("postgres")
            .expect("read the user database")
            .expect("a user postgres");
        nix::unistd::chown(directory, Some(user.uid), Some(user.gid)).expect("chown");
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("chmod");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    listener.local_addr().expect("its address").port()
}
