//! What can go wrong between us and the kernel, and what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why tracing could not start or go on.
#[derive(Debug, Error)]
pub enum TracerError {
    /// The kernel lacks what tracing needs.
    #[error(
        "kernel {release} is too old: tierscope needs Linux 6.1 or newer, for in older ones what it hooks has other arguments"
    )]
    OldKernel {
        /// The running kernel.
        release: String,
    },
    /// The kernel does not describe its own types.
    #[error(
        "this kernel has no BTF at /sys/kernel/btf/vmlinux: boot one built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf(#[source] aya::BtfError),
    /// The object or its maps were refused.
    #[error(
        "the kernel refused tierscope's BPF maps: run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE"
    )]
    Load(#[source] Box<aya::EbpfError>),
    /// The system has no thread for naming stacks.
    #[error("cannot start a thread: end something, or raise the limit (`ulimit -u`)")]
    Thread(#[source] io::Error),
    /// A map of the embedded object could not be used.
    #[error("the BPF map `{map}` cannot be used")]
    Map {
        /// Its name in `maps.h` or beside its programs.
        map: &'static str,
        /// What the kernel said.
        source: aya::maps::MapError,
    },
    /// No form of a hook that tracing cannot do without was taken.
    #[error(
        "cannot trace `{event}` on kernel {release}: {reason}; run as root on a kernel from 6.1 on (`tierscope doctor` lists every hook)"
    )]
    Hook {
        /// What the hook sees.
        event: &'static str,
        /// The running kernel.
        release: String,
        /// What the kernel said to each form.
        reason: String,
    },
    /// A program of the embedded object was refused where it has no other form.
    #[error(
        "the kernel refused the BPF program `{program}`: run as root, or see `tierscope doctor`"
    )]
    Program {
        /// Its name in the object.
        program: &'static str,
        /// What the kernel said.
        source: Box<aya::programs::ProgramError>,
    },
    /// A program for USDT probes was refused.
    #[error(
        "the kernel refused the BPF program `{program}`, which needs uprobes (CONFIG_UPROBE_EVENTS=y)"
    )]
    UsdtProgram {
        /// Its name in the object.
        program: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A walk over threads or open sockets could not be read.
    #[error("the walk over the threads and sockets that were there before tracing failed")]
    Walk(#[source] io::Error),
    /// A process to be traced is not there.
    #[error("no process {pid} to trace: it ended, or the pid is wrong")]
    NoSuchProcess {
        /// As asked for.
        pid: u32,
    },
    /// A tracer that traces itself never comes to rest.
    #[error("process {pid} is tierscope itself, which is never traced: give the service's pid")]
    OwnProcess {
        /// As asked for.
        pid: u32,
    },
    /// A service index that was not declared at the start.
    #[error("no service {index}: {count} were declared when tracing started")]
    NoSuchService {
        /// As asked for.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// A ring size that the kernel does not take.
    #[error(
        "a ring buffer of {bytes} bytes: it must be a power of two of at least one page (4096)"
    )]
    RingSize {
        /// As asked for.
        bytes: u32,
    },
    /// A binary's probes could not be read.
    #[error(transparent)]
    Usdt(#[from] crate::usdt::UsdtError),
    /// A file of the kernel's could not be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
