//! What this host allows: the questions of `tierscope doctor` about kernel, hooks and privileges.

use std::fs;
use std::path::Path;

use aya::{Btf, Ebpf};
use nix::sys::resource::{Resource, getrlimit};

use crate::accept::check_libraries;
use crate::hooks::{ACCEPT, HOOKS, Hook, Place, release_form, take_form};
use crate::kernel::{btf, chain, load_object, release, supported};
use crate::wire_record::{TS_KIND_USDT, ts_usdt};
use crate::{Service, Tracer, TracerError, TracerOptions};

/// Enough for every program, link and map, with room for the recording's own files.
const DESCRIPTORS: u64 = 128;

/// There where the kernel has uprobes.
const UPROBES: &str = "/sys/bus/event_source/devices/uprobe/type";

/// Places of one kind that a form is described by.
const SHOWN: usize = 4;

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

/// One form of a hook, in which this kernel offers it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormCheck {
    /// How it attaches and where, such as `tp_btf sock_recv_length`.
    pub form: String,
    /// The kernel's words why not.
    pub refusal: Option<String>,
}

/// One hook and its forms, up to the first that this kernel allows: the one that tracing takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCheck {
    /// What it sees.
    pub event: &'static str,
    /// In order of preference.
    pub forms: Vec<FormCheck>,
    /// What a trace lacks where no form is taken; `None`: tracing cannot do without.
    pub without: Option<&'static str>,
}

impl HookCheck {
    /// The form that tracing takes here.
    pub fn taken(&self) -> Option<&FormCheck> {
        self.forms.last().filter(|form| form.refusal.is_none())
    }
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
            && self
                .hooks
                .iter()
                .all(|hook| hook.taken().is_some() || hook.without.is_some())
    }
}

/// Looks at the host; loads every program for a moment and leaves nothing behind.
pub fn probe_host() -> HostReport {
    let mut checks = vec![version(), privileges(), memlock(), descriptors(), uprobes()];
    let hooks = btf().and_then(|btf| Ok((load_object(&btf, 4096, None)?, btf)));
    checks.push(Check {
        what: "BTF and BPF maps",
        ok: hooks.is_ok(),
        required: true,
        detail: hooks.as_ref().err().map_or("loaded".into(), |error| chain(error)),
        remedy: "run as root on a kernel built with CONFIG_DEBUG_INFO_BTF=y and CONFIG_BPF_SYSCALL=y",
    });
    let hooks = hooks.map_or_else(
        |_| Vec::new(),
        |(mut bpf, btf)| {
            let libraries = check_libraries(&bpf, &btf);
            checks.push(user_probes(&libraries));
            check_hooks(&mut bpf, &btf, &libraries)
        },
    );
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
    let probe = PROBES
        .iter()
        .find(|probe| probe.id == u32::from(usdt.probe))?;
    Some(probe.full_name())
}

/// Every hook of the kernel's, and accepts, for which there is one more form.
fn check_hooks(bpf: &mut Ebpf, btf: &Btf, libraries: &Result<bool, String>) -> Vec<HookCheck> {
    let mut accept = check_hook(bpf, btf, &ACCEPT);
    if accept.taken().is_none() {
        accept.forms.push(FormCheck {
            form: "uretprobe accept, accept4".into(),
            refusal: libraries.as_ref().err().cloned(),
        });
    }
    let hooks = HOOKS.iter().map(|hook| check_hook(bpf, btf, hook));
    hooks.chain([accept]).collect()
}

fn check_hook(bpf: &mut Ebpf, btf: &Btf, hook: &Hook) -> HookCheck {
    let mut forms = Vec::new();
    for form in hook.forms {
        let taken = take_form(bpf, btf, form);
        release_form(bpf, form);
        forms.push(FormCheck {
            form: describe(form),
            refusal: taken.err(),
        });
        if forms.last().is_some_and(|form| form.refusal.is_none()) {
            break;
        }
    }
    HookCheck {
        event: hook.event,
        forms,
        without: hook.without,
    }
}

/// Its places by kind: `fexit vfs_read, vfs_write; fentry vfs_read`, the first of them where they are many.
fn describe(form: &[Place]) -> String {
    let same_kind = |a: &Place, b: &Place| a.describe().0 == b.describe().0;
    let of_kind = |places: &[Place]| {
        let kind = places.first().map_or("", |place| place.describe().0);
        let targets: Vec<_> = places.iter().map(|place| place.describe().1).collect();
        match targets.get(SHOWN..).filter(|rest| !rest.is_empty()) {
            Some(rest) => format!(
                "{kind} {} and {} more",
                targets[..SHOWN].join(", "),
                rest.len()
            ),
            None => format!("{kind} {}", targets.join(", ")),
        }
    };
    let kinds: Vec<_> = form.chunk_by(same_kind).map(of_kind).collect();
    kinds.join("; ")
}

/// Linux 6.1 and newer.
fn version() -> Check {
    let release = release();
    let supported = supported(&release);
    Check {
        what: "kernel",
        ok: supported.is_ok(),
        required: true,
        detail: supported.map_or_else(|error| error.to_string(), |()| release),
        remedy: "boot Linux 6.1 or newer with BTF, as Debian 12 has it",
    }
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

/// How programs get to places in traced binaries.
fn user_probes(program: &Result<bool, String>) -> Check {
    Check {
        what: "programs at uprobes",
        ok: program.is_ok(),
        required: true,
        detail: match program {
            Ok(true) => "by one link per binary".into(),
            Ok(false) => {
                "by one perf event per place: before Linux 6.6 each takes 0.1 s to come off".into()
            }
            Err(reason) => reason.clone(),
        },
        remedy: "boot a kernel built with CONFIG_UPROBE_EVENTS=y and CONFIG_BPF_EVENTS=y",
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
