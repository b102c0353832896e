//! Which hooks carry which events, and taking the first form of each that this kernel allows.

mod place;

use aya::{Btf, Ebpf};
use serde::{Deserialize, Serialize};

pub(crate) use place::program_mut;
pub use place::{Attach, Place};
use place::{fentry, fexit, syscall, tp};

use crate::TracerError;
use crate::kernel;

/// One event and the forms in which a kernel may offer it, the cheapest first.
/// All places of a form are taken, or none.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// What it sees.
    pub event: &'static str,
    /// Its forms, in order of preference.
    pub forms: &'static [&'static [Place]],
    /// What a trace lacks where no form is taken; `None`: tracing cannot do without.
    pub without: Option<&'static str>,
}

/// What became of one program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct HookReport {
    /// What it sees.
    pub event: String,
    /// The program's name in the object.
    pub program: String,
    /// `tp_btf`, `fentry`, `fexit`, `tracepoint` or `usdt`.
    pub kind: String,
    /// Whether it is in place.
    pub attached: bool,
    /// Where it is, or why it is not.
    pub detail: String,
}

/// What sees calls on files, which detail lean leaves out.
pub(crate) const FILES: &str = "files";

/// Every hook of the kernel's that tracing needs. Processes come first: what is forked once they are in
/// place is never missed.
pub const HOOKS: &[Hook] = &[
    Hook {
        event: "processes",
        forms: &[&[
            tp("process_fork", "sched_process_fork"),
            tp("process_exec", "sched_process_exec"),
            tp("process_exit", "sched_process_exit"),
        ]],
        without: None,
    },
    Hook {
        event: "connection state",
        forms: &[&[
            tp("socket_state", "inet_sock_set_state"),
            tp("socket_close", "tcp_destroy_sock"),
        ]],
        without: None,
    },
    Hook {
        event: "bytes sent",
        // The result first: a send seen to begin is then always seen to end.
        forms: &[
            &[
                tp("send_end", "sock_send_length"),
                tp("send_start", "tcp_sendmsg_locked"),
            ],
            // Up to 6.4: sendfile and splice have a way of their own.
            &[
                fexit("send_exit", "tcp_sendmsg_locked"),
                fexit("page_exit", "do_tcp_sendpages"),
                fexit("room_exit", "sk_stream_wait_memory"),
                fentry("room_entry", "sk_stream_wait_memory"),
                fentry("page_entry", "do_tcp_sendpages"),
                fentry("send_entry", "tcp_sendmsg_locked"),
            ],
            &[
                fexit("send_exit", "tcp_sendmsg_locked"),
                fexit("room_exit", "sk_stream_wait_memory"),
                fentry("room_entry", "sk_stream_wait_memory"),
                fentry("send_entry", "tcp_sendmsg_locked"),
            ],
        ],
        without: None,
    },
    Hook {
        event: "scheduler",
        forms: &[&[
            tp("sched_wakeup", "sched_wakeup"),
            tp("sched_wakeup_new", "sched_wakeup_new"),
            tp("sched_switch", "sched_switch"),
        ]],
        without: Some("threads: not measured"),
    },
    Hook {
        event: "bytes read",
        forms: &[
            &[tp("recv", "sock_recv_length")],
            &[fexit("recv_exit", "tcp_recvmsg")],
        ],
        without: None,
    },
    Hook {
        event: "packet leaves",
        forms: &[&[tp("transmit", "net_dev_start_xmit")]],
        without: Some("send and wire: not measured apart"),
    },
    Hook {
        event: "packet dropped",
        forms: &[&[tp("dropped", "kfree_skb")]],
        without: Some("send failures: told as slow sends"),
    },
    Hook {
        event: "segment arrives",
        forms: &[&[tp("arrive", "tcp_probe")]],
        without: Some("receive queue: not measured"),
    },
    Hook {
        event: "retransmit",
        forms: &[
            &[tp("retransmit", "tcp_retransmit_skb")],
            &[tp("retransmit_sent", "tcp_retransmit_skb")],
        ],
        without: Some("retransmits: not measured"),
    },
    Hook {
        event: FILES,
        // The returns first: a call seen to begin is then always seen to end. Trampolines first: any of these
        // tracepoints puts every process on the slow way through its system calls.
        forms: &[
            &[
                fexit("vfs_read_exit", "vfs_read"),
                fexit("vfs_write_exit", "vfs_write"),
                fexit("vfs_readv_exit", "vfs_readv"),
                fexit("vfs_writev_exit", "vfs_writev"),
                fexit("fsync_exit", "__x64_sys_fsync"),
                fexit("fdatasync_exit", "__x64_sys_fdatasync"),
                fexit("sendfile_exit", "do_sendfile"),
                fexit("open_exit", "do_sys_openat2"),
                fentry("vfs_read_entry", "vfs_read"),
                fentry("vfs_write_entry", "vfs_write"),
                fentry("vfs_readv_entry", "vfs_readv"),
                fentry("vfs_writev_entry", "vfs_writev"),
                fentry("fsync_entry", "__x64_sys_fsync"),
                fentry("fdatasync_entry", "__x64_sys_fdatasync"),
                fentry("sendfile_entry", "do_sendfile"),
                fentry("open_entry", "do_sys_openat2"),
            ],
            &[
                syscall("file_exit", "sys_exit_read"),
                syscall("file_exit", "sys_exit_readv"),
                syscall("file_exit", "sys_exit_write"),
                syscall("file_exit", "sys_exit_writev"),
                syscall("file_exit", "sys_exit_pread64"),
                syscall("file_exit", "sys_exit_preadv"),
                syscall("file_exit", "sys_exit_preadv2"),
                syscall("file_exit", "sys_exit_pwrite64"),
                syscall("file_exit", "sys_exit_pwritev"),
                syscall("file_exit", "sys_exit_pwritev2"),
                syscall("file_exit", "sys_exit_fsync"),
                syscall("file_exit", "sys_exit_fdatasync"),
                syscall("file_exit", "sys_exit_sendfile64"),
                syscall("file_open_exit", "sys_exit_openat"),
                syscall("file_read", "sys_enter_read"),
                syscall("file_read", "sys_enter_readv"),
                syscall("file_write", "sys_enter_write"),
                syscall("file_write", "sys_enter_writev"),
                syscall("file_read_at", "sys_enter_pread64"),
                syscall("file_read_at", "sys_enter_preadv"),
                syscall("file_read_at", "sys_enter_preadv2"),
                syscall("file_write_at", "sys_enter_pwrite64"),
                syscall("file_write_at", "sys_enter_pwritev"),
                syscall("file_write_at", "sys_enter_pwritev2"),
                syscall("file_sync", "sys_enter_fsync"),
                syscall("file_sync", "sys_enter_fdatasync"),
                syscall("file_send", "sys_enter_sendfile64"),
                syscall("file_open", "sys_enter_openat"),
            ],
        ],
        without: Some("calls on files: not measured"),
    },
    Hook {
        event: "block devices",
        forms: &[&[
            tp("block_complete", "block_rq_complete"),
            tp("block_issue", "block_rq_issue"),
            tp("block_insert", "block_rq_insert"),
        ]],
        without: Some("disks: not measured"),
    },
];

/// When a server takes a connection. Where no form is left the C library is asked.
pub(crate) const ACCEPT: Hook = Hook {
    event: "accept",
    forms: &[&[fexit("accept_exit", "inet_csk_accept")]],
    without: Some("accept: not measured"),
};

impl HookReport {
    fn attached(hook: &Hook, place: &Place) -> HookReport {
        let (kind, target) = place.describe();
        HookReport {
            event: hook.event.into(),
            program: place.program.into(),
            kind: kind.into(),
            attached: true,
            detail: target.into(),
        }
    }

    /// Of a hook without which a trace lacks `what`.
    fn missing(hook: &Hook, what: &str, reason: &str) -> HookReport {
        let first = hook.forms.first().and_then(|form| form.first());
        HookReport {
            event: hook.event.into(),
            program: first.map(|place| place.program).unwrap_or_default().into(),
            kind: first
                .map(|place| place.describe().0)
                .unwrap_or_default()
                .into(),
            attached: false,
            detail: format!("{what} ({reason})"),
        }
    }
}

/// Loads and attaches every program of `form`; takes all of it out again when one is refused.
pub(crate) fn take_form(bpf: &mut Ebpf, btf: &Btf, form: &[Place]) -> Result<(), String> {
    for place in form {
        let taken = place.load(bpf, btf).and_then(|()| place.attach(bpf));
        if let Err(error) = taken {
            release_form(bpf, form);
            return Err(format!("{}: {}", place.describe().1, kernel::chain(&error)));
        }
    }
    Ok(())
}

/// Takes the programs of `form` out of the kernel.
pub(crate) fn release_form(bpf: &mut Ebpf, form: &[Place]) {
    for place in form {
        // The only error is that it is not there.
        let _ = place.unload(bpf);
    }
}

/// Takes the first form of `hook` that the kernel allows; the error is what it said to each.
pub(crate) fn take_hook(bpf: &mut Ebpf, btf: &Btf, hook: &Hook) -> Result<Vec<HookReport>, String> {
    let mut refusals = Vec::new();
    for form in hook.forms {
        match take_form(bpf, btf, form) {
            Ok(()) => {
                let report = |place| HookReport::attached(hook, place);
                return Ok(form.iter().map(report).collect());
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(refusals.join("; "))
}

fn attach_hook(bpf: &mut Ebpf, btf: &Btf, hook: &Hook) -> Result<Vec<HookReport>, TracerError> {
    take_hook(bpf, btf, hook).or_else(|reason| match hook.without {
        Some(what) => Ok(vec![HookReport::missing(hook, what, &reason)]),
        None => Err(TracerError::Hook {
            event: hook.event,
            release: kernel::release(),
            reason,
        }),
    })
}

/// Puts `hooks` in place, each in the first form that this kernel allows. One that tracing can do without
/// and that has no form left, or a reason to be left out, is reported as not attached.
///
/// # Errors
///
/// [`TracerError::Hook`] when a hook that tracing needs has no form left.
pub(crate) fn attach_all(
    bpf: &mut Ebpf,
    btf: &Btf,
    hooks: impl IntoIterator<Item = &'static Hook>,
    left_out: impl Fn(&Hook) -> Option<&'static str>,
) -> Result<Vec<HookReport>, TracerError> {
    let mut reports = Vec::new();
    for hook in hooks {
        match hook.without.zip(left_out(hook)) {
            Some((what, reason)) => reports.push(HookReport::missing(hook, what, reason)),
            None => reports.extend(attach_hook(bpf, btf, hook)?),
        }
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
        Some((load_object(&btf, 4096, None).expect("maps"), btf))
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
            without: None,
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
            without: None,
        };
        let error = attach_hook(&mut bpf, &btf, &hook)
            .expect_err("nothing to attach to")
            .to_string();
        for part in ["`bytes`", "no_such_tracepoint", "6.1"] {
            assert!(error.contains(part), "{error}");
        }
    }
    #[test]
    fn what_can_be_done_without_is_reported_as_missing() {
        let Some((mut bpf, btf)) = object() else {
            return;
        };
        let hook = Hook {
            event: "bytes",
            forms: &[MISSING],
            without: Some("bytes: not measured"),
        };
        let reports = attach_hook(&mut bpf, &btf, &hook).expect("no error");
        assert_eq!(reports.len(), 1);
        assert!(!reports[0].attached);
        for part in ["bytes: not measured", "no_such_tracepoint"] {
            assert!(reports[0].detail.contains(part), "{reports:?}");
        }
    }
}
