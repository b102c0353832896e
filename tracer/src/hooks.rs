//! Which hooks carry which events, and taking the first form of each that this kernel allows.

use aya::programs::{BtfTracePoint, ProgramError};
use aya::{Btf, Ebpf};
use serde::{Deserialize, Serialize};

use crate::TracerError;
use crate::kernel;

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A tracepoint, its arguments typed by BTF.
    TpBtf(&'static str),
}

/// One program and its place.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The program's name in the object.
    pub program: &'static str,
    /// Where it goes.
    pub attach: Attach,
}

/// One event and the forms in which a kernel may offer it, the cheapest first.
/// All places of a form are taken, or none.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// What it sees.
    pub event: &'static str,
    /// Its forms, in order of preference.
    pub forms: &'static [&'static [Place]],
}

/// What became of one program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct HookReport {
    /// What it sees.
    pub event: String,
    /// The program's name in the object.
    pub program: String,
    /// `tp_btf`, `iter` or `usdt`.
    pub kind: String,
    /// Whether it is in place.
    pub attached: bool,
    /// Where it is, or why it is not.
    pub detail: String,
}

const fn tp(program: &'static str, tracepoint: &'static str) -> Place {
    Place {
        program,
        attach: Attach::TpBtf(tracepoint),
    }
}

/// Every hook of the kernel's that tracing needs. Processes come first: what is forked once they are in
/// place is never missed.
pub const HOOKS: &[Hook] = &[
    Hook {
        event: "processes",
        forms: &[&[
            tp("process_fork", "sched_process_fork"),
            tp("process_exit", "sched_process_exit"),
        ]],
    },
    Hook {
        event: "connection state",
        forms: &[&[
            tp("socket_state", "inet_sock_set_state"),
            tp("socket_close", "tcp_destroy_sock"),
        ]],
    },
    Hook {
        event: "bytes sent",
        // The result first: a send seen to begin is then always seen to end.
        forms: &[&[
            tp("send_end", "sock_send_length"),
            tp("send_start", "tcp_sendmsg_locked"),
        ]],
    },
    Hook {
        event: "bytes read",
        forms: &[&[tp("recv", "sock_recv_length")]],
    },
    Hook {
        event: "packet leaves",
        forms: &[&[tp("transmit", "net_dev_start_xmit")]],
    },
    Hook {
        event: "segment arrives",
        forms: &[&[tp("arrive", "tcp_probe")]],
    },
    Hook {
        event: "retransmit",
        forms: &[&[tp("retransmit", "tcp_retransmit_skb")]],
    },
];

impl Place {
    /// Its kind and its target, as reports show them.
    pub fn describe(&self) -> (&'static str, &'static str) {
        match self.attach {
            Attach::TpBtf(tracepoint) => ("tp_btf", tracepoint),
        }
    }

    fn load(&self, bpf: &mut Ebpf, btf: &Btf) -> Result<(), ProgramError> {
        match self.attach {
            Attach::TpBtf(tracepoint) => self.as_tp_btf(bpf)?.load(tracepoint, btf),
        }
    }

    fn unload(&self, bpf: &mut Ebpf) -> Result<(), ProgramError> {
        match self.attach {
            Attach::TpBtf(_) => self.as_tp_btf(bpf)?.unload(),
        }
    }

    fn attach(&self, bpf: &mut Ebpf) -> Result<(), ProgramError> {
        match self.attach {
            Attach::TpBtf(_) => self.as_tp_btf(bpf)?.attach().map(drop),
        }
    }

    fn as_tp_btf<'a>(&self, bpf: &'a mut Ebpf) -> Result<&'a mut BtfTracePoint, ProgramError> {
        program_mut(bpf, self.program)?.try_into()
    }

    fn report(&self, event: &str) -> HookReport {
        let (kind, target) = self.describe();
        HookReport {
            event: event.into(),
            program: self.program.into(),
            kind: kind.into(),
            attached: true,
            detail: target.into(),
        }
    }
}

/// The program `name` of the embedded object.
pub(crate) fn program_mut<'a>(
    bpf: &'a mut Ebpf,
    name: &str,
) -> Result<&'a mut aya::programs::Program, ProgramError> {
    bpf.program_mut(name).ok_or(ProgramError::NotLoaded)
}

/// Loads every program of `form`; unloads those that went in when one is refused.
pub(crate) fn load_form(bpf: &mut Ebpf, btf: &Btf, form: &[Place]) -> Result<(), String> {
    for (i, place) in form.iter().enumerate() {
        if let Err(error) = place.load(bpf, btf) {
            unload_form(bpf, &form[..i]);
            return Err(format!("{}: {}", place.describe().1, kernel::chain(&error)));
        }
    }
    Ok(())
}

/// Takes the programs of `form` out of the kernel again.
pub(crate) fn unload_form(bpf: &mut Ebpf, form: &[Place]) {
    for place in form {
        // It was loaded, so the only error is that it is not any more.
        let _ = place.unload(bpf);
    }
}

/// Loads and attaches the first form of `hook` that the kernel takes.
fn attach_hook(bpf: &mut Ebpf, btf: &Btf, hook: &Hook) -> Result<Vec<HookReport>, TracerError> {
    let mut refusals = Vec::new();
    for form in hook.forms {
        match load_form(bpf, btf, form).and_then(|()| attach_form(bpf, form)) {
            Ok(()) => return Ok(form.iter().map(|place| place.report(hook.event)).collect()),
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(TracerError::Hook {
        event: hook.event,
        release: kernel::release(),
        reason: refusals.join("; "),
    })
}

fn attach_form(bpf: &mut Ebpf, form: &[Place]) -> Result<(), String> {
    for place in form {
        if let Err(error) = place.attach(bpf) {
            unload_form(bpf, form);
            return Err(format!("{}: {}", place.describe().1, kernel::chain(&error)));
        }
    }
    Ok(())
}

/// Puts every hook in place, each in the first form that this kernel allows.
///
/// # Errors
///
/// [`TracerError::Hook`] when a hook has no form left.
pub(crate) fn attach_all(bpf: &mut Ebpf, btf: &Btf) -> Result<Vec<HookReport>, TracerError> {
    let mut reports = Vec::new();
    for hook in HOOKS {
        reports.extend(attach_hook(bpf, btf, hook)?);
    }
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{btf, load_object};

    fn object() -> Option<(Ebpf, Btf)> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: not root");
            return None;
        }
        let btf = btf().expect("BTF");
        Some((load_object(&btf, 4096).expect("maps"), btf))
    }

    const MISSING: &[Place] = &[
        tp("send_end", "sock_send_length"),
        tp("recv", "no_such_tracepoint"),
    ];

    const PRESENT: &[Place] = &[
        tp("send_end", "sock_send_length"),
        tp("recv", "sock_recv_length"),
    ];

    #[test]
    fn a_form_that_is_refused_makes_way_for_the_next() {
        let Some((mut bpf, btf)) = object() else {
            return;
        };
        let hook = Hook {
            event: "bytes",
            forms: &[MISSING, PRESENT],
        };
        let reports = attach_hook(&mut bpf, &btf, &hook).expect("the second form");
        let places: Vec<_> = reports
            .iter()
            .map(|report| report.detail.as_str())
            .collect();
        assert_eq!(places, ["sock_send_length", "sock_recv_length"]);
    }

    #[test]
    fn no_form_left_is_an_error_that_names_it() {
        let Some((mut bpf, btf)) = object() else {
            return;
        };
        let hook = Hook {
            event: "bytes",
            forms: &[MISSING],
        };
        let error = attach_hook(&mut bpf, &btf, &hook)
            .expect_err("nothing to attach to")
            .to_string();
        for part in ["`bytes`", "no_such_tracepoint", "6.16"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
