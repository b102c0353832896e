//! Each tier in network, mount and pid namespaces of its own, as in containers, but without an engine: packets
//! cross a bridge, binaries are reached through `/proc/PID/root` alone, and pids are the host's.

#[path = "../support/mod.rs"]
mod support;

mod room;

use room::{Room, Switch};
use support::{Recording, Scratch, may_trace, scored::Scored};

const REQUESTS: u64 = 1000;
const DATA: &str = "/var/lib/tierscope/postgres";
const SCRIPTS: &str = "/opt/tierscope/lab/containers";
const CLIENT: &str = "/var/lib/tierscope/client.jsonl";

/// The stack, and a load generator that waits.
struct Rooms {
    postgres: Room,
    app: Room,
    nginx: Room,
    load: Room,
    _switch: Switch,
}

impl Rooms {
    /// Opens them all, the last tier first.
    fn open(switch: Switch) -> Result<Self, String> {
        let script = |name| format!("{SCRIPTS}/{name}");
        let cluster = format!(
            "{0} init {DATA} && exec {0} serve {DATA}",
            script("postgres")
        );
        let mut postgres = Room::start(&switch, "10.0.0.1", "postgres", &["sh", "-c", &cluster])?;
        postgres.says("ready to accept connections");
        let app = [
            "tierscope-lab-app",
            "--listen=0.0.0.0:8080",
            "--database-url=postgres://lab@10.0.0.1/lab?sslmode=disable",
            "--template=/opt/tierscope/lab/app/templates/report.html",
            "--audit-log=/var/lib/tierscope/audit.log",
            "--truth",
        ];
        let mut app = Room::start(&switch, "10.0.0.2", "nobody", &app)?;
        app.says("ready ");
        let nginx = [
            &script("nginx"),
            "0.0.0.0:8080",
            "10.0.0.2:8080",
            "/var/lib/tierscope",
        ];
        let nginx = Room::start(&switch, "10.0.0.3", "www-data", &nginx)?;
        nginx.is_healthy();
        let load = [
            "tierscope",
            "load",
            "--hold",
            "--target=10.0.0.3:8080",
            "--rate=250",
            "--duration=4",
            "--records",
            CLIENT,
        ];
        let load = Room::start(&switch, "10.0.0.4", "nobody", &load)?;
        Ok(Self {
            postgres,
            app,
            nginx,
            load,
            _switch: switch,
        })
    }

    fn record(&self, file: String) -> Recording {
        let rooms = [
            ("postgres", &self.postgres),
            ("app", &self.app),
            ("nginx", &self.nginx),
            ("loadgen", &self.load),
        ];
        let traced = rooms.map(|(name, room)| format!("--process={name}={}", room.pid));
        let options: Vec<_> = traced.iter().map(String::as_str).collect();
        Recording::of(file, &[&options[..], &["--keep-text"]].concat())
    }
}

#[test]
fn a_load_across_namespaces() {
    if !may_trace() {
        return;
    }
    let switch = match Switch::start() {
        Ok(switch) => switch,
        Err(reason) => return println!("skipped: no network namespaces here: {reason}"),
    };
    let mut rooms = Rooms::open(switch).expect("rooms");
    let scratch = Scratch::new();
    let recording = rooms.record(scratch.path("rooms.tsrec"));
    rooms.load.go();
    rooms.load.says("ended with 0");
    let file = recording.file.clone();
    print!("{}", recording.stop().out);
    Scored::of(&file, &rooms.load.file(CLIENT))
        .is_flawless(REQUESTS)
        .crosses_a_network();
}
