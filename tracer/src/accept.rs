//! When a server takes a connection: the return of accept in the C library that its process runs on.
//!
//! Every process on that library comes by, so one attachment serves all services that share it.

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aya::{Btf, Ebpf};

use crate::kernel::chain;
use crate::usdt::note;
use crate::usdt::program::{Places, Program};
use crate::{HookReport, ProgramStats};

/// The program's name in the object.
const PROGRAM: &str = "accepted";
/// What it sees.
const EVENT: &str = "accept";
/// The functions of the C library that it waits for.
const FUNCTIONS: [&str; 2] = ["accept", "accept4"];
/// What a trace lacks without them.
const WITHOUT: &str = "accept: not measured";

/// The program, and where it is attached.
pub(crate) struct Accept {
    /// Or why this kernel does not take it.
    program: Result<Program, String>,
    /// Libraries that were looked at, by device and inode.
    known: HashSet<(u64, u64)>,
    /// An attachment lasts as long as its link.
    links: Vec<OwnedFd>,
}

impl Accept {
    /// Loads the program. All maps must still be in `bpf`.
    pub(crate) fn new(bpf: &Ebpf, btf: &Btf) -> Accept {
        Accept {
            program: Program::load(bpf, btf, PROGRAM).map_err(|error| chain(&error)),
            known: HashSet::new(),
            links: Vec::new(),
        }
    }

    /// Attaches to the C library of process `pid`, or to the process's own binary where that has it built in;
    /// nothing if that was done before.
    pub(crate) fn follow(&mut self, pid: u32) -> Option<HookReport> {
        let library = library(pid).unwrap_or_else(|| format!("/proc/{pid}/exe").into());
        let meta = fs::metadata(&library).ok()?;
        if !self.known.insert((meta.dev(), meta.ino())) {
            return None;
        }
        let place = fs::read_link(&library).unwrap_or_else(|_| library.clone());
        let attached = self.attach(&library);
        Some(HookReport {
            event: EVENT.into(),
            program: PROGRAM.into(),
            kind: "uretprobe".into(),
            attached: attached.is_ok(),
            detail: match attached {
                Ok(()) => format!("accept in {}", place.display()),
                Err(reason) => format!("{WITHOUT} ({}: {reason})", place.display()),
            },
        })
    }

    fn attach(&mut self, library: &Path) -> Result<(), String> {
        let program = self.program.as_ref().map_err(Clone::clone)?;
        let places = Places {
            at_return: true,
            offsets: functions(library)?,
            ..Places::default()
        };
        if places.offsets.is_empty() {
            return Err("it does not have the function".to_owned());
        }
        let link = program.attach(library, &places);
        self.links.extend(link.map_err(|error| chain(&error))?);
        Ok(())
    }

    /// How often the program ran and for how long.
    pub(crate) fn stats(&self) -> Option<ProgramStats> {
        self.program.as_ref().ok().map(Program::stats)
    }
}

/// Where its functions begin in `library`; none: it does not have them.
fn functions(library: &Path) -> Result<Vec<u64>, String> {
    let data = fs::read(library).map_err(|error| chain(&error))?;
    let places: Result<Vec<_>, _> = FUNCTIONS
        .iter()
        .map(|name| note::function(&data, name))
        .collect();
    let places = places.map_err(|error| chain(&error))?;
    Ok(places.into_iter().flatten().collect())
}

/// The C library that process `pid` has mapped; by this path even one that an upgrade has replaced.
fn library(pid: u32) -> Option<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let range = maps.lines().find_map(|line| {
        let name = line.rsplit_once('/')?.1;
        is_c_library(name).then(|| line.split(' ').next())?
    })?;
    Some(format!("/proc/{pid}/map_files/{range}").into())
}

fn is_c_library(name: &str) -> bool {
    ["libc.so.", "libc-2.", "ld-musl-"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_c_library_with_accept() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: not root");
            return;
        }
        let library = library(std::process::id()).expect("mapped");
        let places = functions(&library).expect("readable");
        assert_eq!(places.len(), 2, "{}", library.display());
    }
}
