//! A uprobe program that is attached at many places by one link, which aya 0.14 cannot load.
//!
//! One link per binary, where the kernel has it, not a perf event per location: perf events come off one by
//! one, 0.1 s each, and a release build of a traced app has a hundred locations.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya::maps::Map;
use aya::{Btf, Ebpf};
use aya_obj::Object;

use super::single;
use crate::ProgramStats;
use crate::kernel::OBJECT;

const BPF_PROG_LOAD: u32 = 5;
pub(super) const BPF_LINK_CREATE: u32 = 28;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_TRACE_UPROBE_MULTI: u32 = 48;
const BPF_F_UPROBE_MULTI_RETURN: u32 = 1;

/// A loaded program.
pub(crate) struct Program {
    name: &'static str,
    fd: OwnedFd,
    /// Whether one link can attach it at many places.
    many: bool,
}

/// Where to attach: one entry per location in each list.
#[derive(Default)]
pub(crate) struct Places {
    /// Of the probes' instructions in the file.
    pub(crate) offsets: Vec<u64>,
    /// Of their semaphores in the file; 0: none. Empty: no probe has one.
    pub(crate) semaphores: Vec<u64>,
    /// What the program gets to know of each. Empty: nothing.
    pub(crate) cookies: Vec<u64>,
    /// Whether to run where the functions at these places return.
    pub(crate) at_return: bool,
}

/// The start of the kernel's `bpf_attr` for BPF_PROG_LOAD.
#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log: [u64; 2],
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

/// `bpf_attr` for BPF_LINK_CREATE with BPF_TRACE_UPROBE_MULTI.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    semaphores: u64,
    cookies: u64,
    count: u32,
    multi_flags: u32,
    pid: u32,
    pad: u32,
}

impl Program {
    /// Loads the program `name` of the embedded object with the maps that `bpf` has made.
    ///
    /// # Errors
    ///
    /// What the kernel or the relocation said.
    pub(crate) fn load(bpf: &Ebpf, btf: &Btf, name: &'static str) -> io::Result<Self> {
        let object = relocated(bpf, btf)?;
        let function = object
            .programs
            .get(name)
            .map(|program| program.function_key());
        let function = function.and_then(|key| object.functions.get(&key));
        let instructions = &function.ok_or(io::ErrorKind::NotFound)?.instructions;
        let load = |attach_type| {
            let mut attr = ProgLoad {
                kind: BPF_PROG_TYPE_KPROBE,
                instruction_count: instructions.len() as u32,
                instructions: instructions.as_ptr() as u64,
                license: object.license.as_ptr() as u64,
                attach_type,
                ..Default::default()
            };
            attr.name[..name.len()].copy_from_slice(name.as_bytes());
            bpf_call(BPF_PROG_LOAD, &attr)
        };
        let many = load(BPF_TRACE_UPROBE_MULTI).ok().filter(can_attach_many);
        Ok(Self {
            name,
            many: many.is_some(),
            fd: many.map_or_else(|| load(0), Ok)?,
        })
    }

    /// Attaches it at all `places` in `binary`, in every process that runs it now or later.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(crate) fn attach(&self, binary: &Path, places: &Places) -> io::Result<Vec<OwnedFd>> {
        if self.many {
            Ok(vec![attach_many(&self.fd, binary, places)?])
        } else {
            single::attach(self.fd.as_fd(), binary, places)
        }
    }

    /// Whether one link attaches it at many places.
    pub(crate) fn attaches_many(&self) -> bool {
        self.many
    }

    /// How often it ran and for how long, from the kernel's description of its descriptor.
    pub(crate) fn stats(&self) -> ProgramStats {
        let info = format!("/proc/self/fdinfo/{}", self.fd.as_raw_fd());
        let info = fs::read_to_string(info).unwrap_or_default();
        let field = |name| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        ProgramStats {
            program: self.name.into(),
            runs: field("run_cnt:").unwrap_or_default(),
            time_ns: field("run_time_ns:").unwrap_or_default(),
        }
    }
}

/// Its address, or that there is none.
fn list(values: &[u64]) -> u64 {
    if values.is_empty() {
        0
    } else {
        values.as_ptr() as u64
    }
}

/// Attaches `program` at all `places` in `binary` by one link.
fn attach_many(program: &OwnedFd, binary: &Path, places: &Places) -> io::Result<OwnedFd> {
    let path = CString::new(binary.as_os_str().as_bytes())?;
    let attr = LinkCreate {
        program: program.as_raw_fd() as u32,
        target: 0,
        attach_type: BPF_TRACE_UPROBE_MULTI,
        flags: 0,
        path: path.as_ptr() as u64,
        offsets: places.offsets.as_ptr() as u64,
        semaphores: list(&places.semaphores),
        cookies: list(&places.cookies),
        count: places.offsets.len() as u32,
        multi_flags: if places.at_return {
            BPF_F_UPROBE_MULTI_RETURN
        } else {
            0
        },
        pid: 0,
        pad: 0,
    };
    bpf_call(BPF_LINK_CREATE, &attr)
}

/// Whether the kernel knows such links: then it finds fault with the file, not with the call.
fn can_attach_many(program: &OwnedFd) -> bool {
    let places = Places {
        offsets: vec![0],
        ..Places::default()
    };
    let refusal = attach_many(program, Path::new("/"), &places).err();
    refusal.and_then(|error| error.raw_os_error()) == Some(libc::EBADF)
}

/// The embedded object, fitted to this kernel and to `bpf`'s maps.
fn relocated(bpf: &Ebpf, btf: &Btf) -> io::Result<Object> {
    let mut object = Object::parse(OBJECT).map_err(io::Error::other)?;
    object.relocate_btf(btf).map_err(io::Error::other)?;
    let sections: HashSet<usize> = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let maps = object.maps.clone();
    let maps = maps
        .iter()
        .filter_map(|(name, map)| Some((name.as_str(), map_fd(bpf.map(name)?)?, map)));
    object
        .relocate_maps(maps, &sections)
        .map_err(io::Error::other)?;
    object.relocate_calls(&sections).map_err(io::Error::other)?;
    Ok(object)
}

/// The descriptor of a map of one of the types in `bpf/`.
fn map_fd(map: &Map) -> Option<RawFd> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::RingBuf(data)
        | Map::SkStorage(data)
        | Map::StackTraceMap(data)
        | Map::Unsupported(data) => Some(data.fd().as_fd().as_raw_fd()),
        _ => None,
    }
}

/// bpf(2), for the commands that answer with a descriptor.
pub(super) fn bpf_call<Attr>(command: u32, attr: &Attr) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is as long as we say; it and what it points to outlive the call, which copies them.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<Attr>()) };
    owned(fd)
}

/// The descriptor that a system call answered with, or its error.
pub(super) fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match RawFd::try_from(fd) {
        // SAFETY: the kernel has just given this descriptor to us alone.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
