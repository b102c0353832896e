//! One perf event per place, for kernels that cannot attach a program at many places by one link (before 6.6).

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::program::{BPF_LINK_CREATE, Places, bpf_call, owned};

/// Where the kernel tells the uprobe PMU's type.
const PMU_TYPE: &str = "/sys/bus/event_source/devices/uprobe/type";
const PERF_FLAG_FD_CLOEXEC: u64 = 8;
const BPF_PERF_EVENT: u32 = 41;

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

/// `bpf_attr` of BPF_LINK_CREATE for a perf event.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    cookie: u64,
}

/// Attaches `program` at every one of `places` in `binary`; a link for each.
///
/// # Errors
///
/// What the kernel said of the first that it refused.
pub(super) fn attach(
    program: BorrowedFd<'_>,
    binary: &Path,
    places: &Places,
) -> io::Result<Vec<OwnedFd>> {
    let path = CString::new(binary.as_os_str().as_bytes())?;
    let pmu = fs::read_to_string(PMU_TYPE)?;
    let kind = pmu.trim().parse().map_err(io::Error::other)?;
    let attach_at = |(index, offset): (usize, &u64)| {
        let semaphore = places.semaphores.get(index).copied().unwrap_or_default();
        let attr = PerfEventAttr {
            kind,
            size: size_of::<PerfEventAttr>() as u32,
            config: semaphore << 32 | u64::from(places.at_return),
            config1: path.as_ptr() as u64,
            config2: *offset,
            ..Default::default()
        };
        let cookie = places.cookies.get(index).copied().unwrap_or_default();
        link(program, &open(&attr)?, cookie)
    };
    places.offsets.iter().enumerate().map(attach_at).collect()
}

/// Opens the uprobe for all processes. The kernel counts up its semaphore in each of them.
fn open(attr: &PerfEventAttr) -> io::Result<OwnedFd> {
    // With no pid the event must name a CPU; a uprobe fires on all of them all the same.
    let (pid, cpu, group) = (-1, 0, -1);
    // SAFETY: `attr` says its own size; it and the path it points to outlive the call, which copies both.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            attr,
            pid,
            cpu,
            group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    owned(fd)
}

/// Runs `program` whenever `event` fires. The link keeps the event open.
fn link(program: BorrowedFd<'_>, event: &OwnedFd, cookie: u64) -> io::Result<OwnedFd> {
    let attr = LinkCreate {
        program: program.as_raw_fd() as u32,
        target: event.as_raw_fd() as u32,
        attach_type: BPF_PERF_EVENT,
        flags: 0,
        cookie,
    };
    bpf_call(BPF_LINK_CREATE, &attr)
}
