//! The set of traced processes: the pids asked for and everything they forked.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use zerocopy::IntoBytes;

use crate::clock;
use crate::counters::{head, map_error, take_map};
use crate::inode::{Inode, Inodes};
use crate::wire_record::{TS_KIND_PROCESS, TS_PROCESS_FOUND, ts_process, ts_traced};
use crate::{TracerError, globals};

/// BPF_NOEXIST: the fork hook may have been faster.
const NO_EXIST: u64 = 1;

/// `ts_traced` as the map takes it.
type RawTraced = [u8; size_of::<ts_traced>()];

/// What a process and all that it forks have in common.
#[derive(Clone, Copy)]
pub(crate) struct Facts {
    /// Index of its service.
    pub(crate) service: u32,
    /// Whether to take the user stacks of its calls on files.
    pub(crate) stacks: bool,
}

/// The kernel's map of traced processes.
pub(crate) struct Processes {
    traced: BpfHashMap<MapData, u32, RawTraced>,
}

impl Processes {
    /// Takes the map out of the object.
    pub(crate) fn new(bpf: &mut Ebpf) -> Result<Self, TracerError> {
        let traced = take_map(bpf, "traced")?;
        Ok(Self {
            traced: traced.try_into().map_err(map_error("traced"))?,
        })
    }

    /// Traces `pid` and what it forked so far, as part of `facts.service`. Returns a PROCESS record for each
    /// that was not traced yet.
    ///
    /// The fork hook must be in place: a child forked after its parent is in the map is traced by the
    /// kernel, one forked before is in /proc by then, so looking until nothing new is found misses none.
    pub(crate) fn add(&mut self, facts: Facts, pid: u32) -> Result<Vec<Vec<u8>>, TracerError> {
        if pid == std::process::id() {
            return Err(TracerError::OwnProcess { pid });
        }
        if !Path::new(&format!("/proc/{pid}")).exists() {
            return Err(TracerError::NoSuchProcess { pid });
        }
        let mut family = vec![pid];
        let mut records = Vec::new();
        records.extend(self.insert(facts, pid)?);
        loop {
            let born = children_of(&family)?;
            if born.is_empty() {
                return Ok(records);
            }
            for child in born {
                records.extend(self.insert(facts, child)?);
                family.push(child);
            }
        }
    }

    /// Puts one process in the map; its record unless the fork hook had already made one.
    fn insert(&mut self, facts: Facts, pid: u32) -> Result<Option<Vec<u8>>, TracerError> {
        let globals = globals::find(pid);
        let traced: RawTraced = zerocopy::transmute!(ts_traced {
            service: facts.service,
            stacks: facts.stacks.into(),
            wait_event: globals
                .as_ref()
                .map_or(0, |globals| globals.my_wait_event_info),
            buffer_usage: globals
                .as_ref()
                .map_or(0, |globals| globals.pg_buffer_usage),
            query: globals
                .as_ref()
                .map_or(0, |globals| globals.debug_query_string),
        });
        match self.traced.insert(pid, traced, NO_EXIST) {
            Ok(()) => {}
            Err(MapError::SyscallError(error))
                if error.io_error.raw_os_error() == Some(libc::EEXIST) =>
            {
                return Ok(None);
            }
            Err(source) => return Err(map_error("traced")(source)),
        }
        if Path::new(&format!("/proc/{pid}")).exists() {
            return Ok(Some(found(facts.service, pid)));
        }
        // It ended before the exit hook could see it in the map.
        let _ = self.traced.remove(&pid);
        Ok(None)
    }
}

/// The PROCESS record of a process that was there when tracing began.
fn found(service: u32, pid: u32) -> Vec<u8> {
    let mut record = ts_process {
        head: head::<ts_process>(TS_KIND_PROCESS, clock::now().0),
        pid,
        service,
        change: TS_PROCESS_FOUND as u8,
        ..Default::default()
    };
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let comm = comm.trim_ascii_end();
    let len = comm.len().min(record.comm.len() - 1);
    record.comm[..len].copy_from_slice(&comm[..len]);
    record.as_bytes().to_vec()
}

/// `pid` and what it forked so far: of processes that run the same program only one.
pub(crate) fn programs(pid: u32) -> Result<Vec<u32>, TracerError> {
    let mut family = vec![pid];
    loop {
        let born = children_of(&family)?;
        if born.is_empty() {
            break;
        }
        family.extend(born);
    }
    let mut seen = Inodes::default();
    let exe = |pid: &u32| Inode::at(Path::new(&format!("/proc/{pid}/exe")));
    family.retain(|pid| exe(pid).is_ok_and(|exe| seen.insert(exe)));
    Ok(family)
}

/// Children of `family` that are not in it.
fn children_of(family: &[u32]) -> Result<Vec<u32>, TracerError> {
    let is_child = |(pid, parent): &(&u32, &u32)| family.contains(parent) && !family.contains(pid);
    Ok(parents()?
        .iter()
        .filter(is_child)
        .map(|(pid, _)| *pid)
        .collect())
}

/// Every process and its parent.
fn parents() -> Result<HashMap<u32, u32>, TracerError> {
    let read = |source| TracerError::Read {
        path: PathBuf::from("/proc"),
        source,
    };
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc").map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        // One that ends while we look is no child any more.
        if let Some((pid, parent)) = pid.and_then(|pid| Some((pid, parent_of(pid)?))) {
            parents.insert(pid, parent);
        }
    }
    Ok(parents)
}

/// The parent's pid, from `/proc/PID/stat`: second field after the name's closing bracket.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}
