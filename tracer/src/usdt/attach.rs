//! Puts the generic USDT programs on every location of every known probe of a binary.
//!
//! By perf events of the uprobe PMU, for all processes: one that starts later is traced too. The attachment's
//! cookie is the index of the location's spec.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aya::Ebpf;
use aya::maps::{Array, MapData};
use aya::programs::UProbe;

use super::UsdtError;
use super::note::{self, Note};
use super::probe::{APP, POSTGRES, PROBES, Probe, program_of};
use crate::TracerError;
use crate::counters::{map_error, take_map};
use crate::hooks::{HookReport, program_mut};
use crate::kernel::chain;
use crate::wire_record::ts_usdt_spec;

/// Where the kernel tells the uprobe PMU's type.
pub(crate) const PMU_TYPE: &str = "/sys/bus/event_source/devices/uprobe/type";

type RawSpec = [u8; size_of::<ts_usdt_spec>()];

/// The attached probes.
pub(crate) struct Usdt {
    specs: Array<MapData, RawSpec>,
    used: u32,
    /// Binaries that were looked at, by device and inode.
    known: HashSet<(u64, u64)>,
    /// An attachment lasts as long as its link.
    links: Vec<OwnedFd>,
}

impl Usdt {
    /// Loads the two programs and takes the table of specs.
    pub(crate) fn new(bpf: &mut Ebpf) -> Result<Self, TracerError> {
        for program in [program_of(APP), program_of(POSTGRES)] {
            load(bpf, program).map_err(|source| TracerError::Program {
                program,
                source: Box::new(source),
            })?;
        }
        let specs = take_map(bpf, "specs")?;
        Ok(Self {
            specs: specs.try_into().map_err(map_error("specs"))?,
            used: 0,
            known: HashSet::new(),
            links: Vec::new(),
        })
    }

    /// Attaches every known probe of `binary` whose provider it has; nothing for a binary seen before.
    ///
    /// Returns a report per probe: one that the binary lacks or the kernel refuses is not attached.
    ///
    /// # Errors
    ///
    /// The binary cannot be read or is no ELF file.
    pub(crate) fn attach_binary(
        &mut self,
        bpf: &Ebpf,
        binary: &Path,
    ) -> Result<Vec<HookReport>, UsdtError> {
        let meta = fs::metadata(binary).map_err(|source| UsdtError::Read {
            path: binary.into(),
            source,
        })?;
        if !self.known.insert((meta.dev(), meta.ino())) {
            return Ok(Vec::new());
        }
        let notes = note::read(binary)?;
        let has_provider =
            |probe: &&Probe| notes.iter().any(|note| note.provider == probe.provider);
        let probes = PROBES.iter().filter(has_provider);
        Ok(probes
            .map(|probe| {
                let result = self.attach_probe(bpf, binary, &notes, probe);
                report(probe, binary, result)
            })
            .collect())
    }

    /// Attaches every location of one probe; returns how many there are.
    fn attach_probe(
        &mut self,
        bpf: &Ebpf,
        binary: &Path,
        notes: &[Note],
        probe: &Probe,
    ) -> Result<usize, UsdtError> {
        let is_it = |note: &&Note| note.provider == probe.provider && note.name == probe.name;
        let locations = notes.iter().filter(is_it);
        let mut count = 0;
        for note in locations {
            let cookie = self.add_spec(note, probe)?;
            let link = attach_location(bpf, binary, note, probe, cookie)?;
            self.links.push(link);
            count += 1;
        }
        Ok(count)
    }

    /// Tells the kernel side where a location's arguments are; returns the spec's index.
    fn add_spec(&mut self, note: &Note, probe: &Probe) -> Result<u32, UsdtError> {
        let args = note.args.clone().map_err(|source| UsdtError::Arg {
            probe: full_name(probe),
            source,
        })?;
        let spec = ts_usdt_spec {
            probe: probe.id as u16,
            arg_count: args.count,
            text_mask: probe.texts,
            pad: 0,
            args: args.args,
        };
        let raw: RawSpec = zerocopy::transmute!(spec);
        let index = self.used;
        self.specs
            .set(index, raw, 0)
            .map_err(|_| UsdtError::TooMany {
                max: self.specs.len(),
            })?;
        self.used += 1;
        Ok(index)
    }
}

fn load(bpf: &mut Ebpf, program: &str) -> Result<(), aya::programs::ProgramError> {
    let program: &mut UProbe = program_mut(bpf, program)?.try_into()?;
    program.load()
}

fn full_name(probe: &Probe) -> String {
    format!("{}:{}", probe.provider, probe.name)
}

fn report(probe: &Probe, binary: &Path, result: Result<usize, UsdtError>) -> HookReport {
    let place = fs::read_link(binary).unwrap_or_else(|_| binary.into());
    let place = place.display();
    HookReport {
        event: full_name(probe),
        program: program_of(probe.provider).into(),
        kind: "usdt".into(),
        attached: matches!(result, Ok(count) if count > 0),
        detail: match result {
            Ok(0) => format!("{place} does not have it"),
            Ok(count) => format!("{count} location(s) in {place}"),
            Err(error) => format!("{place}: {}", chain(&error)),
        },
    }
}

fn attach_location(
    bpf: &Ebpf,
    binary: &Path,
    note: &Note,
    probe: &Probe,
    cookie: u32,
) -> Result<OwnedFd, UsdtError> {
    let failed = |call| {
        move |source| UsdtError::Kernel {
            call,
            probe: full_name(probe),
            source,
        }
    };
    let event = open_event(binary, note).map_err(failed("perf_event_open"))?;
    let program = bpf
        .program(program_of(probe.provider))
        .and_then(|program| program.fd().ok())
        .ok_or_else(|| failed("finding its program")(io::ErrorKind::NotFound.into()))?;
    create_link(program.as_fd(), event.as_fd(), cookie.into()).map_err(failed("BPF_LINK_CREATE"))
}

/// The first 72 bytes of the kernel's `perf_event_attr` (PERF_ATTR_SIZE_VER1), which is all a uprobe needs.
#[repr(C)]
#[derive(Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample: [u64; 3],
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
}

/// Opens the uprobe at `note` for all processes. The kernel counts up its semaphore in each of them.
fn open_event(binary: &Path, note: &Note) -> io::Result<OwnedFd> {
    let path = CString::new(binary.as_os_str().as_bytes())?;
    let pmu = fs::read_to_string(PMU_TYPE)?;
    let attr = PerfEventAttr {
        kind: pmu.trim().parse().map_err(io::Error::other)?,
        size: size_of::<PerfEventAttr>() as u32,
        config: note.semaphore << 32,
        config1: path.as_ptr() as u64,
        config2: note.offset,
        ..Default::default()
    };
    // With no pid the event must name a CPU; a uprobe fires on all of them all the same.
    let (pid, cpu, group) = (-1, 0, -1);
    // SAFETY: `attr` says its own size; it and the path it points to outlive the call, which copies both.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &attr,
            pid,
            cpu,
            group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    owned(fd)
}

const PERF_FLAG_FD_CLOEXEC: u64 = 8;

/// `bpf_attr` of BPF_LINK_CREATE for a perf event.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    cookie: u64,
}

const BPF_LINK_CREATE: u32 = 28;
const BPF_PERF_EVENT: u32 = 41;

/// Runs `program` whenever `event` fires. The link keeps the event open.
fn create_link(program: BorrowedFd<'_>, event: BorrowedFd<'_>, cookie: u64) -> io::Result<OwnedFd> {
    let attr = LinkCreate {
        program: program.as_raw_fd() as u32,
        target: event.as_raw_fd() as u32,
        attach_type: BPF_PERF_EVENT,
        flags: 0,
        cookie,
    };
    // SAFETY: `attr` is as long as we say and outlives the call, which copies it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_LINK_CREATE,
            &attr,
            size_of::<LinkCreate>(),
        )
    };
    owned(fd)
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: the kernel has just given this descriptor to us alone.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
