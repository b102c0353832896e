//! When a server takes a connection: at the kernel's own function, or, where that allows no trampoline, at the
//! return of accept in the C library that the server's process runs on.
//!
//! Every process on that library comes by, so one attachment serves all services that share it.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use aya::{Btf, Ebpf};

use crate::hooks::{self, ACCEPT};
use crate::inode::{Inode, Inodes};
use crate::kernel::chain;
use crate::usdt::note;
use crate::usdt::program::{Places, Program};
use crate::{HookReport, ProgramStats};

/// The program's name in the object.
const PROGRAM: &str = "accepted";
/// The functions of the C library that it waits for.
const FUNCTIONS: [&str; 2] = ["accept", "accept4"];

/// How accepted connections are seen.
pub(crate) enum Accept {
    /// At a function of the kernel's.
    Kernel,
    /// In the C libraries of the traced processes.
    Libraries(Libraries),
    /// This kernel takes neither.
    Missing(String),
}

/// The program, and where it is attached.
pub(crate) struct Libraries {
    program: Program,
    /// Libraries that were looked at.
    known: Inodes,
    /// An attachment lasts as long as its link.
    links: Vec<OwnedFd>,
}

impl Accept {
    /// Takes the kernel's function, or else loads the program for libraries. All maps must still be in `bpf`.
    pub(crate) fn new(bpf: &mut Ebpf, btf: &Btf) -> (Accept, Vec<HookReport>) {
        match hooks::take_hook(bpf, btf, &ACCEPT) {
            Ok(reports) => (Accept::Kernel, reports),
            Err(_) => (Accept::in_libraries(bpf, btf), Vec::new()),
        }
    }

    fn in_libraries(bpf: &Ebpf, btf: &Btf) -> Accept {
        match Program::load(bpf, btf, PROGRAM) {
            Ok(program) => Accept::Libraries(Libraries {
                program,
                known: Inodes::default(),
                links: Vec::new(),
            }),
            Err(error) => Accept::Missing(chain(&error)),
        }
    }

    /// Attaches to the C library of process `pid`, or to the process's own binary where that has it built in;
    /// nothing if that was done before or the kernel sees all of them.
    pub(crate) fn follow(&mut self, pid: u32) -> Option<HookReport> {
        match self {
            Accept::Kernel => None,
            Accept::Libraries(libraries) => libraries.follow(pid),
            Accept::Missing(reason) => Some(report(Err(std::mem::take(reason)))),
        }
    }

    /// How often the program for libraries ran and for how long.
    pub(crate) fn stats(&self) -> Option<ProgramStats> {
        match self {
            Accept::Libraries(libraries) => Some(libraries.program.stats()),
            _ => None,
        }
    }
}

/// Whether this kernel takes the program for libraries, and then whether at many places by one link.
pub(crate) fn check_libraries(bpf: &Ebpf, btf: &Btf) -> Result<bool, String> {
    let program = Program::load(bpf, btf, PROGRAM).map_err(|error| chain(&error))?;
    Ok(program.attaches_many())
}

/// Where it is, or why it is not.
fn report(place: Result<String, String>) -> HookReport {
    HookReport {
        event: ACCEPT.event.into(),
        program: PROGRAM.into(),
        kind: "uretprobe".into(),
        attached: place.is_ok(),
        detail: match place {
            Ok(place) => format!("accept in {place}"),
            Err(reason) => format!("{} ({reason})", ACCEPT.without.unwrap_or_default()),
        },
    }
}

impl Libraries {
    fn follow(&mut self, pid: u32) -> Option<HookReport> {
        let library = library(pid).unwrap_or_else(|| format!("/proc/{pid}/exe").into());
        if !self.known.insert(Inode::at(&library).ok()?) {
            return None;
        }
        let place = fs::read_link(&library).unwrap_or_else(|_| library.clone());
        let place = place.display();
        let attached = self.attach(&library);
        Some(report(match attached {
            Ok(()) => Ok(place.to_string()),
            Err(reason) => Err(format!("{place}: {reason}")),
        }))
    }

    fn attach(&mut self, library: &Path) -> Result<(), String> {
        let places = Places {
            at_return: true,
            offsets: functions(library)?,
            ..Places::default()
        };
        if places.offsets.is_empty() {
            return Err("it does not have the function".to_owned());
        }
        let links = self.program.attach(library, &places);
        self.links.extend(links.map_err(|error| chain(&error))?);
        Ok(())
    }
}

/// Where its functions begin in `library`; none: it does not have them.
fn functions(library: &Path) -> Result<Vec<u64>, String> {
    let data = note::open(library).map_err(|error| chain(&error))?;
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
