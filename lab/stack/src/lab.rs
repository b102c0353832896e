//! The life of a lab: up, open, status, down.

use std::{
    fs::{DirBuilder, File},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Child,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    account::Account,
    error::{Error, Result},
    guard::Guard,
    options::{self, LabOptions},
    place,
    process::{ProcessRecord, Role},
    programs::Programs,
    psql::{Server, Session},
    state::State,
    status::Status,
};

mod start;

/// A running lab.
///
/// Dropped, it lives on, unless it is owned ([`LabOptions::owned`]): then it is taken down, as it
/// is when this process dies, by SIGKILL too.
#[derive(Debug)]
pub struct Lab {
    state: State,
    /// Those that this process started and must reap.
    children: Vec<Child>,
    guard: Option<Guard>,
}

impl Lab {
    /// Starts a lab, or takes over the one that runs in the directory with the same options.
    /// Remains of a dead or half-dead lab are removed first. On error nothing is left behind.
    ///
    /// # Errors
    /// A missing program, an unfit or held directory, a running lab with other options, a taken
    /// port, a process that does not get ready: see [`Error`].
    pub fn up(options: LabOptions) -> Result<Self> {
        let dir = options::resolve(&options.dir)?;
        let options = LabOptions { dir, ..options };
        let programs = Programs::find(&options)?;
        let account = Account::choose()?;
        let lock = place::claim(&options.dir, &account)?;
        let lock = match State::read(&options.dir)? {
            None => lock,
            Some(state) if !Status::of(&state)?.serving() => {
                Guard::watch(&state.dir, &state.programs, &lock)?.take_down()?;
                place::claim(&options.dir, &account)?
            }
            Some(state) if state.options == options => return Ok(Self::found(state)),
            Some(state) => return Err(Error::Running { dir: state.dir }),
        };
        Self::start(options, &programs, &account, &lock)
    }

    /// The lab in `dir`, whatever its condition.
    ///
    /// # Errors
    /// [`Error::NoLab`] where there is none, [`Error::State`] when `lab.json` is damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        read(dir).map(Self::found)
    }

    /// How the lab in `dir` is doing.
    ///
    /// # Errors
    /// As [`Lab::open`].
    pub fn status(dir: &Path) -> Result<Status> {
        Status::of(&read(dir)?)
    }

    /// Takes the lab down, dead processes and all, and removes its directory.
    ///
    /// # Errors
    /// [`Error::Held`] when another process owns it, [`Error::Remains`] when something is left.
    pub fn down(mut self) -> Result<()> {
        let guard = match self.guard.take() {
            Some(guard) => guard,
            None => {
                let lock = place::claim(&self.state.dir, &Account::choose()?)?;
                Guard::watch(&self.state.dir, &self.state.programs, &lock)?
            }
        };
        let outcome = guard.take_down();
        for child in &mut self.children {
            // What survived its SIGKILL would be waited for without end.
            let _ = child.try_wait();
        }
        outcome
    }

    /// The private directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.state.dir
    }

    /// The roots of its three process trees.
    #[must_use]
    pub fn processes(&self) -> &[ProcessRecord] {
        &self.state.processes
    }

    /// Where clients send their requests.
    ///
    /// # Errors
    /// [`Error::NoLab`] when its start did not get as far as nginx.
    pub fn nginx_addr(&self) -> Result<SocketAddr> {
        self.process(Role::Nginx).map(|nginx| nginx.listen)
    }

    /// The logs of all three: `nginx.log`, `app.log`, `postgres.log` and [`Lab::access_log`].
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.state.dir.join("logs")
    }

    /// nginx's access log: one JSON object per request, times in seconds.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        self.logs().join("access.jsonl")
    }

    /// Asks the lab's database as its superuser, through the socket in the lab's directory: nothing of
    /// it is on any traced connection. A line per row, columns between `|`.
    ///
    /// # Errors
    /// PostgreSQL does not run, or does not take the statement.
    pub fn ask(&self, sql: &str) -> Result<String> {
        let account = Account::choose()?;
        self.server(&account)?.ask("postgres", "lab", sql)
    }

    /// Opens a session of the lab's superuser that is asked more than once, as [`Lab::ask`].
    ///
    /// # Errors
    /// psql cannot be started.
    pub fn session(&self) -> Result<Session> {
        let account = Account::choose()?;
        self.server(&account)?.session("postgres", "lab")
    }

    fn server<'a>(&'a self, account: &'a Account) -> Result<Server<'a>> {
        let server = self.process(Role::Postgres)?;
        Ok(Server {
            account,
            bin: server.binary.parent().unwrap_or(&server.binary),
            host: self.state.dir.display().to_string(),
            port: server.listen.port(),
        })
    }

    fn process(&self, role: Role) -> Result<&ProcessRecord> {
        let mut processes = self.processes().iter();
        let found = processes.find(|process| process.role == role);
        found.ok_or_else(|| Error::NoLab {
            dir: self.state.dir.clone(),
        })
    }

    fn found(state: State) -> Self {
        Self {
            state,
            children: Vec::new(),
            guard: None,
        }
    }

    fn start(
        options: LabOptions,
        programs: &Programs,
        account: &Account,
        lock: &File,
    ) -> Result<Self> {
        let mut lab = Self::found(State {
            dir: options.dir.clone(),
            started_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            processes: Vec::new(),
            programs: start::members(programs, account, &options.dir),
            options,
        });
        lab.state.write()?;
        lab.guard = Some(Guard::watch(&lab.state.dir, &lab.state.programs, lock)?);
        if let Err(error) = lab.start_all(programs, account) {
            // The first error tells more than one of the clean-up.
            let _ = lab.down();
            return Err(error);
        }
        if !lab.state.options.owned
            && let Some(guard) = lab.guard.take()
        {
            guard.release()?;
        }
        Ok(lab)
    }
}

fn read(dir: &Path) -> Result<State> {
    let dir = options::resolve(dir)?;
    State::read(&dir)?.ok_or(Error::NoLab { dir })
}

/// Makes a directory in the lab that its account owns.
fn subdirectory(dir: &Path, name: &str, account: &Account) -> Result<()> {
    let path = dir.join(name);
    DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .map_err(Error::io("make", &path))?;
    account.give(&path)
}
