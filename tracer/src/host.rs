//! What this host allows: the questions of `tierscope doctor` about kernel, hooks and privileges.

use std::fs;
use std::path::Path;

use aya::programs::{FEntry, ProgramError};
use aya::{Btf, Ebpf};
use nix::sys::resource::{Resource, getrlimit};

use crate::hooks::{HOOKS, Hook, load_form, program_mut, unload_form};
use crate::kernel::{btf, chain, load_object, release};
use crate::wire_record::{TS_KIND_USDT, ts_usdt};
use crate::{Service, Tracer, TracerError, TracerOptions};

/// Enough for every program, link and map, with room for the recording's own files.
const DESCRIPTORS: u64 = 128;

/// There where the kernel has uprobes.
const UPROBES: &str = "/sys/bus/event_source/devices/uprobe/type";

/// Where trampolines give the same event, and at which function of the kernel's.
const TRAMPOLINES: [(&str, &str); 2] =
    [("bytes sent", "tcp_sendmsg"), ("bytes read", "tcp_recvmsg")];

/// One property of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub what: &'static str,
    /// Whether it is as tracing wants it.
    pub ok: bool,
    /// Whether tracing is impossible without.
    pub required: bool,
    /// What was found.
    pub detail: String,
    /// What to do where it is not ok.
    pub remedy: &'static str,
}

/// One form of a hook: there, or the kernel's words why not.
pub type Form = Result<(), String>;

/// One hook and its two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCheck {
    /// What it sees.
    pub event: &'static str,
    /// By tracepoints: the form this build takes.
    pub tracepoint: Form,
    /// By trampolines; `None` where tracepoints are the only form.
    pub trampoline: Option<Form>,
}

/// Everything that [`probe_host`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostReport {
    /// The running kernel.
    pub kernel_release: String,
    /// Its properties and ours.
    pub checks: Vec<Check>,
    /// Its hooks; empty when BPF cannot be loaded at all.
    pub hooks: Vec<HookCheck>,
}

impl HostReport {
    /// Whether a recording can be made here.
    pub fn can_trace(&self) -> bool {
        let required = self.checks.iter().filter(|check| check.required);
        required.into_iter().all(|check| check.ok)
            && !self.hooks.is_empty()
            && self.hooks.iter().all(|hook| hook.tracepoint.is_ok())
    }
}

/// Looks at the host; loads every program for a moment and leaves nothing behind.
pub fn probe_host() -> HostReport {
    let mut checks = vec![privileges(), memlock(), descriptors(), uprobes()];
    let hooks = btf().and_then(|btf| Ok((load_object(&btf, 4096)?, btf)));
    checks.push(Check {
        what: "BTF and BPF maps",
        ok: hooks.is_ok(),
        required: true,
        detail: hooks.as_ref().err().map_or("loaded".into(), |error| chain(error)),
        remedy: "run as root on a kernel built with CONFIG_DEBUG_INFO_BTF=y and CONFIG_BPF_SYSCALL=y",
    });
    let hooks = match hooks {
        Ok((mut bpf, btf)) => HOOKS
            .iter()
            .map(|hook| check_hook(&mut bpf, &btf, hook))
            .collect(),
        Err(_) => Vec::new(),
    };
    HostReport {
        kernel_release: release(),
        checks,
        hooks,
    }
}

/// Traces `pid` while `exercise` uses it, and tells of each probe its binary has whether it fired.
///
/// # Errors
///
/// Tracing cannot start; see [`Tracer::start`].
pub fn usdt_fires(pid: u32, exercise: impl FnOnce()) -> Result<Vec<(String, bool)>, TracerError> {
    let service = Service {
        name: "checked".into(),
        pids: vec![pid],
        binary: None,
    };
    let mut tracer = Tracer::start(TracerOptions {
        services: vec![service],
        ..Default::default()
    })?;
    exercise();
    let mut fired = Vec::new();
    tracer.drain(&mut |record| fired.extend(probe_of(record)));
    let probes = tracer.hooks().iter().filter(|hook| hook.kind == "usdt");
    Ok(probes
        .map(|hook| (hook.event.clone(), fired.contains(&hook.event)))
        .collect())
}

/// `provider:name` of the probe that made a USDT record.
fn probe_of(record: &[u8]) -> Option<String> {
    use crate::usdt::probe::PROBES;
    use zerocopy::FromBytes;

    let (usdt, _) = ts_usdt::read_from_prefix(record).ok()?;
    if u32::from(usdt.head.kind) != TS_KIND_USDT {
        return None;
    }
    let probe = PROBES.get(usize::from(usdt.probe))?;
    Some(probe.full_name())
}

fn check_hook(bpf: &mut Ebpf, btf: &Btf, hook: &Hook) -> HookCheck {
    let mut refusals = Vec::new();
    for form in hook.forms {
        match load_form(bpf, btf, form) {
            Ok(()) => unload_form(bpf, form),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let tracepoint = if refusals.len() < hook.forms.len() {
        Ok(())
    } else {
        Err(refusals.join("; "))
    };
    let function = TRAMPOLINES.iter().find(|(event, _)| *event == hook.event);
    HookCheck {
        event: hook.event,
        tracepoint,
        trampoline: function.map(|(_, function)| check_trampoline(bpf, btf, function)),
    }
}

fn check_trampoline(bpf: &mut Ebpf, btf: &Btf, function: &str) -> Form {
    let attempt = |bpf: &mut Ebpf| -> Result<(), ProgramError> {
        let program: &mut FEntry = program_mut(bpf, "trampoline")?.try_into()?;
        program.load(function, btf)?;
        let attached = program.attach().map(drop);
        program.unload()?;
        attached
    };
    attempt(bpf).map_err(|error| chain(&error))
}

/// CAP_SYS_ADMIN, or CAP_PERFMON with CAP_BPF.
fn privileges() -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let has = |bit: u32| bits.is_some_and(|bits| bits >> bit & 1 == 1);
    let (sys_admin, perfmon, bpf) = (has(21), has(38), has(39));
    Check {
        what: "privileges",
        ok: sys_admin || (perfmon && bpf),
        required: true,
        detail: format!("CAP_SYS_ADMIN {sys_admin}, CAP_BPF {bpf}, CAP_PERFMON {perfmon}"),
        remedy: "run as root, or with sudo",
    }
}

/// Kernels from 5.11 on charge BPF to the cgroup instead.
fn memlock() -> Check {
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map(|(soft, _)| soft);
    Check {
        what: "locked memory",
        ok: true,
        required: false,
        detail: match limit {
            Ok(u64::MAX) => "unlimited".into(),
            Ok(bytes) => format!("{} KiB; kernels from 5.11 on do not need it", bytes / 1024),
            Err(error) => error.to_string(),
        },
        remedy: "",
    }
}

fn descriptors() -> Check {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    Check {
        what: "open files",
        ok: limit >= DESCRIPTORS,
        required: true,
        detail: format!("{limit} allowed"),
        remedy: "raise the limit: `ulimit -n 1024`",
    }
}

fn uprobes() -> Check {
    let ok = Path::new(UPROBES).exists();
    Check {
        what: "uprobes",
        ok,
        required: true,
        detail: if ok {
            UPROBES.into()
        } else {
            format!("no {UPROBES}")
        },
        remedy: "boot a kernel built with CONFIG_UPROBES=y and CONFIG_UPROBE_EVENTS=y",
    }
}
