//! Starts the three processes, from the last tier to the first.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Child,
};

use super::{Lab, subdirectory};
use crate::{
    account::Account,
    app,
    error::{Error, Result},
    nginx,
    ports::Reserved,
    postgres::Postgres,
    process::{ProcessRecord, Role, start_time_ticks},
    programs::{Program, Programs},
};

/// The files that processes of this lab run.
pub fn members(programs: &Programs, account: &Account, dir: &Path) -> Vec<PathBuf> {
    let postgres = &programs.postgres.path;
    vec![
        programs.nginx.path.clone(),
        app::location(account, &programs.app.path, dir),
        postgres.clone(),
        postgres.with_file_name("initdb"),
    ]
}

impl Lab {
    pub(super) fn start_all(&mut self, programs: &Programs, account: &Account) -> Result<()> {
        let ports = self.state.options.ports;
        let host = self.state.options.host();
        // All taken ports are found before anything runs.
        let front = Reserved::take(Role::Nginx, host, ports.nginx)?;
        let back = Reserved::take(Role::Postgres, host, ports.postgres)?;
        drop(Reserved::take(Role::App, host, ports.app)?);
        for name in ["logs", "nginx", "app"] {
            subdirectory(&self.state.dir, name, account)?;
        }
        let database = self.start_postgres(&programs.postgres, account, back)?;
        let upstream = self.start_app(&programs.app, account, database)?;
        self.start_nginx(&programs.nginx, account, front, upstream)
    }

    fn start_postgres(
        &mut self,
        program: &Program,
        account: &Account,
        port: Reserved,
    ) -> Result<SocketAddr> {
        let dir = self.state.dir.clone();
        let bin = program.path.parent().unwrap_or(&program.path);
        let buffers = self.state.options.shared_buffers.clone();
        let postgres = Postgres::new(account, bin, &dir, buffers.as_deref());
        let listen = port.address;
        let child = postgres.start(&program.version, port)?;
        postgres.wait(self.keep(child), listen)?;
        self.record(Role::Postgres, listen, program.clone())?;
        Ok(listen)
    }

    fn start_app(
        &mut self,
        program: &Program,
        account: &Account,
        database: SocketAddr,
    ) -> Result<SocketAddr> {
        let dir = self.state.dir.clone();
        let path = app::install(account, &program.path, &dir)?;
        let child = app::start(account, &path, &self.state.options, database)?;
        let listen = app::wait(self.keep(child), &dir)?;
        let version = program.version.clone();
        self.record(Role::App, listen, Program { path, version })?;
        Ok(listen)
    }

    fn start_nginx(
        &mut self,
        program: &Program,
        account: &Account,
        port: Reserved,
        upstream: SocketAddr,
    ) -> Result<()> {
        let dir = self.state.dir.clone();
        let listen = port.hand_over();
        let options = &self.state.options;
        let upstream = if options.unix_upstream {
            format!("unix:{}", app::socket(&dir).display())
        } else {
            upstream.to_string()
        };
        let text =
            nginx::configuration(listen, &upstream, options.nginx_workers, options.rate_limit);
        let child = nginx::start(account, &program.path, &dir, &text)?;
        nginx::wait(self.keep(child), &dir, listen)?;
        self.record(Role::Nginx, listen, program.clone())
    }

    /// Remembers a child, so that it is reaped whatever happens next.
    fn keep(&mut self, child: Child) -> &mut Child {
        self.children.push(child);
        let last = self.children.len() - 1;
        &mut self.children[last]
    }

    /// Enters the child kept last into `lab.json`.
    fn record(&mut self, role: Role, listen: SocketAddr, program: Program) -> Result<()> {
        let pid = self.children.last().map_or(0, Child::id);
        let start_time_ticks = start_time_ticks(pid).ok_or_else(|| Error::Io {
            action: "find process of",
            path: program.path.clone(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        self.state.processes.push(ProcessRecord {
            role,
            pid,
            start_time_ticks,
            listen,
            binary: program.path,
            version: program.version,
        });
        self.state.write()
    }
}
