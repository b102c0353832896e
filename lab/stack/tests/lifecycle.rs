//! The life of a real lab: nginx, the app and PostgreSQL as they are installed and built.

mod common;

use std::{
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use common::{get, values};
use tempfile::TempDir;
use tierscope_stack::{Error, Lab, LabOptions, Role};

/// Tells the test binary, run again, to own a lab in this directory.
const OWN: &str = "TIERSCOPE_TEST_OWN";
const ALL: [Role; 3] = [Role::Nginx, Role::App, Role::Postgres];

/// A place for one lab; what a failed test leaves there is taken down.
struct Place {
    _above: TempDir,
    dir: PathBuf,
}

impl Place {
    fn new() -> Self {
        let above = tempfile::tempdir_in("/var/tmp").expect("directory");
        // Under root the lab's user has to get through.
        std::fs::set_permissions(above.path(), std::fs::Permissions::from_mode(0o755))
            .expect("open to others");
        let dir = above.path().canonicalize().expect("real path").join("lab");
        Self { _above: above, dir }
    }

    fn options(&self) -> LabOptions {
        LabOptions {
            pool_size: 2,
            nginx_workers: 1,
            ..LabOptions::new(&self.dir)
        }
    }

    /// A running lab, or `None`, with the reason printed, where one of its programs is missing.
    fn lab(&self) -> Option<Lab> {
        match Lab::up(self.options()) {
            Err(reason @ (Error::Missing { .. } | Error::NoAccount { .. })) => {
                println!("skipped: {reason}");
                None
            }
            lab => Some(lab.expect("up")),
        }
    }

    /// Processes that run in the directory, by whatever name.
    fn processes(&self) -> Vec<String> {
        std::fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter(|entry| {
                std::fs::read_link(entry.path().join("cwd"))
                    .is_ok_and(|cwd| cwd.starts_with(&self.dir))
            })
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), Vec::<String>::new());
        assert!(!self.dir.exists(), "{} is left", self.dir.display());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(lab) = Lab::open(&self.dir) {
            let _ = lab.down();
        }
    }
}

fn pid(lab: &Lab, role: Role) -> u32 {
    let of_role = |p: &&tierscope_stack::ProcessRecord| p.role == role;
    lab.processes().iter().find(of_role).expect("recorded").pid
}

fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(status.expect("kill").success());
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "not in 10 s: {what}"
        );
        sleep(Duration::from_millis(10));
    }
}

/// Whether the System V segment that PostgreSQL notes at the end of line 7 exists.
fn segment_exists(postmaster_pid: &str) -> bool {
    let line = postmaster_pid.lines().nth(6).expect("key and id");
    let id = line.split_ascii_whitespace().nth(1).expect("id");
    let segments = std::fs::read_to_string("/proc/sysvipc/shm").expect("segments");
    segments
        .lines()
        .any(|line| line.split_ascii_whitespace().nth(1) == Some(id))
}

#[test]
fn request_goes_through_all_tiers_and_down_leaves_nothing() {
    let place = Place::new();
    let Some(lab) = place.lab() else { return };
    let answer = get(lab.nginx_addr().expect("nginx"), "/api/users?page=1", &[]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let at = answer.find("X-Request-ID: ").expect("id");
    assert!(at < 512 - 48, "id at byte {at}");
    assert_eq!(values(&answer, "X-Request-ID").len(), 1);
    let mode = |path: &Path| path.metadata().expect("exists").mode() & 0o777;
    assert_eq!(mode(lab.dir()), 0o700);
    assert_eq!(mode(&lab.dir().join("lab.json")), 0o600);
    assert!(Lab::status(&place.dir).expect("status").serving());
    assert!(lab.access_log().exists() && lab.logs().join("postgres.log").exists());
    for process in lab.processes() {
        assert_ne!(process.version, "unknown");
        let owner = Path::new("/proc").join(process.pid.to_string()).metadata();
        assert_ne!(owner.expect("running").uid(), 0, "{} is root", process.role);
    }
    lab.down().expect("down");
    place.assert_nothing_left();
}

#[test]
fn options_reach_the_app() {
    let place = Place::new();
    let options = LabOptions {
        truth: true,
        faults: true,
        ..place.options()
    };
    let lab = match Lab::up(options) {
        Err(Error::Missing { .. }) => return println!("skipped: a program is missing"),
        lab => lab.expect("up"),
    };
    let address = lab.nginx_addr().expect("nginx");
    let plain = get(address, "/api/users?page=1", &[]);
    assert_eq!(values(&plain, "X-Lab-Queries"), ["1"], "{plain}");
    let start = Instant::now();
    let slow = get(
        address,
        "/api/users?page=1",
        &[("X-Lab-Fault", "db_ms=300")],
    );
    assert!(slow.starts_with("HTTP/1.1 200"), "{slow}");
    assert!(start.elapsed() >= Duration::from_millis(300));
    lab.down().expect("down");
    place.assert_nothing_left();
}

#[test]
fn second_up_takes_over_the_lab_or_says_that_it_differs() {
    let place = Place::new();
    let Some(first) = place.lab() else { return };
    let second = place.lab().expect("same programs");
    assert_eq!(first.processes(), second.processes());
    let other = LabOptions {
        truth: true,
        ..place.options()
    };
    assert!(matches!(Lab::up(other), Err(Error::Running { .. })));
    assert!(Lab::status(&place.dir).expect("status").serving());
    second.down().expect("down");
    drop(first);
    place.assert_nothing_left();
    assert!(matches!(Lab::status(&place.dir), Err(Error::NoLab { .. })));
    assert!(matches!(Lab::open(&place.dir), Err(Error::NoLab { .. })));
}

#[test]
fn killed_process_is_seen_and_the_rest_is_taken_down() {
    for role in ALL {
        let place = Place::new();
        let Some(lab) = place.lab() else { return };
        let note = std::fs::read_to_string(place.dir.join("postgres/postmaster.pid"));
        let note = note.expect("postmaster.pid");
        assert!(segment_exists(&note));
        kill("-9", pid(&lab, role));
        eventually("status sees it", || {
            let status = Lab::status(&place.dir).expect("status");
            let dead = |p: &tierscope_stack::ProcessStatus| p.role == role && !p.alive && !p.ready;
            status.processes.iter().any(dead) && !status.serving()
        });
        lab.down().expect("down");
        place.assert_nothing_left();
        assert!(!segment_exists(&note), "segment left by {role}");
    }
}

#[test]
fn frozen_process_is_alive_but_not_ready_and_is_taken_down() {
    let place = Place::new();
    let Some(lab) = place.lab() else { return };
    for role in ALL {
        kill("-STOP", pid(&lab, role));
    }
    let status = Lab::status(&place.dir).expect("status");
    let app_and_database = |p: &&tierscope_stack::ProcessStatus| p.role != Role::Nginx;
    let mut frozen = status.processes.iter().filter(app_and_database);
    assert!(frozen.all(|p| p.alive && !p.ready), "{status:?}");
    assert!(!status.serving());
    lab.down().expect("down");
    place.assert_nothing_left();
}

#[test]
fn up_replaces_a_lab_that_died() {
    let place = Place::new();
    let Some(lab) = place.lab() else { return };
    for role in ALL {
        kill("-9", pid(&lab, role));
    }
    let again = place.lab().expect("same programs");
    assert!(Lab::status(&place.dir).expect("status").serving());
    assert_ne!(pid(&lab, Role::Nginx), pid(&again, Role::Nginx));
    again.down().expect("down");
    place.assert_nothing_left();
}

#[test]
fn reused_pid_is_not_taken_for_the_lab() {
    let place = Place::new();
    let Some(lab) = place.lab() else { return };
    let file = place.dir.join("lab.json");
    let nginx = pid(&lab, Role::Nginx);
    let text = std::fs::read_to_string(&file).expect("lab.json");
    // This test's own process did not start when nginx did.
    let forged = text.replace(
        &format!("\"pid\": {nginx},"),
        &format!("\"pid\": {},", std::process::id()),
    );
    assert_ne!(text, forged);
    std::fs::write(&file, forged).expect("forged");
    let status = Lab::status(&place.dir).expect("status");
    assert!(
        status
            .processes
            .iter()
            .any(|p| p.role == Role::Nginx && !p.alive)
    );
    lab.down().expect("down");
    place.assert_nothing_left();
}

#[test]
fn taken_port_is_a_clear_error_and_leaves_nothing() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("port");
    let port = taken.local_addr().expect("address").port();
    for role in ALL {
        let mut options = place.options();
        match role {
            Role::Nginx => options.ports.nginx = port,
            Role::App => options.ports.app = port,
            Role::Postgres => options.ports.postgres = port,
        }
        match Lab::up(options) {
            Err(Error::Missing { .. }) => return println!("skipped: a program is missing"),
            Err(error @ Error::Port { .. }) => {
                let text = error.to_string();
                assert!(text.contains(&format!("{role} cannot listen")), "{text}");
                assert!(text.contains(&port.to_string()), "{text}");
            }
            other => panic!("{other:?}"),
        }
        place.assert_nothing_left();
    }
}

#[test]
fn missing_or_broken_app_is_a_clear_error_and_leaves_nothing() {
    let place = Place::new();
    let with = |app: &str| LabOptions {
        app: Some(app.into()),
        ..place.options()
    };
    let error = Lab::up(with("/no/such/app"))
        .expect_err("missing")
        .to_string();
    if !error.contains("tierscope-lab-app not found") {
        return println!("skipped: {error}");
    }
    assert!(error.contains("/no/such/app: cargo build"), "{error}");
    // A program that ends at once instead of getting ready.
    let error = Lab::up(with("/bin/false")).expect_err("broken");
    assert!(
        matches!(
            error,
            Error::Ended {
                role: Role::App,
                ..
            }
        ),
        "{error}"
    );
    place.assert_nothing_left();
}

#[test]
fn directory_of_something_else_is_not_touched() {
    let place = Place::new();
    std::fs::create_dir(&place.dir).expect("directory");
    let precious = place.dir.join("precious");
    std::fs::write(&precious, "data").expect("file");
    match Lab::up(place.options()) {
        Err(Error::Missing { .. }) => println!("skipped: a program is missing"),
        Err(Error::Unfit { reason, .. }) => assert_eq!(reason, "it holds something else"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(Lab::open(&place.dir), Err(Error::NoLab { .. })));
    assert_eq!(std::fs::read_dir(&place.dir).expect("directory").count(), 1);
    assert_eq!(std::fs::read(&precious).expect("file"), b"data");
}

#[test]
fn damaged_state_is_a_clear_error() {
    let place = Place::new();
    std::fs::create_dir(&place.dir).expect("directory");
    std::fs::write(place.dir.join("lab.json"), "{\"dir\": ").expect("file");
    let error = Lab::status(&place.dir).expect_err("damaged");
    assert!(matches!(error, Error::State { .. }), "{error}");
}

/// Not a test of its own: the process that owns a lab in the tests below.
#[test]
#[ignore = "run by other tests"]
fn owner() {
    let Some(dir) = std::env::var_os(OWN) else {
        return;
    };
    let options = LabOptions {
        owned: true,
        pool_size: 2,
        ..LabOptions::new(dir)
    };
    let _lab = Lab::up(options).expect("up");
    sleep(Duration::from_secs(60));
}

fn spawn_owner(place: &Place) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "owner"])
        .env(OWN, &place.dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("owner")
}

fn serving(place: &Place) -> bool {
    Lab::status(&place.dir).is_ok_and(|status| status.serving())
}

#[test]
fn owned_lab_ends_with_its_owner_however_that_ends() {
    for signal in ["-KILL", "-INT"] {
        let place = Place::new();
        match place.lab() {
            Some(lab) => lab.down().expect("down"),
            None => return,
        }
        let mut owner = spawn_owner(&place);
        eventually("owned lab serves", || serving(&place));
        // Nobody else takes it over or down.
        let lab = Lab::open(&place.dir).expect("open");
        assert!(matches!(lab.down(), Err(Error::Held { .. })));
        assert!(matches!(Lab::up(place.options()), Err(Error::Held { .. })));
        kill(signal, owner.id());
        owner.wait().expect("ended");
        eventually("nothing is left", || {
            !place.dir.exists() && place.processes().is_empty()
        });
    }
}

#[test]
fn start_that_is_killed_half_way_leaves_nothing() {
    let place = Place::new();
    match place.lab() {
        Some(lab) => lab.down().expect("down"),
        None => return,
    }
    let mut owner = spawn_owner(&place);
    eventually("PostgreSQL is started", || {
        place.dir.join("postgres/postmaster.pid").exists()
    });
    kill("-KILL", owner.id());
    owner.wait().expect("ended");
    eventually("nothing is left", || {
        !place.dir.exists() && place.processes().is_empty()
    });
}

#[test]
fn owned_lab_is_taken_down_when_dropped() {
    let place = Place::new();
    let owned = LabOptions {
        owned: true,
        ..place.options()
    };
    match Lab::up(owned) {
        Err(Error::Missing { .. }) => return println!("skipped: a program is missing"),
        lab => drop(lab.expect("up")),
    }
    eventually("nothing is left", || !place.dir.exists());
}
