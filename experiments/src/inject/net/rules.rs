//! A chain of the packet filter's, in the way of one hop's packets.
//!
//! By iptables, because what queues and logs packets is an extension of it on every kernel; nftables' own
//! form of the queue is not in all. A chain is put in and taken out as a whole.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use super::command;
use crate::error::{Error, Result};
use crate::inject::undo::Undo;

/// The undo is a text of its own.
pub(super) const NOTHING: &[&str] = &[];

/// Where packets are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// Before the receiver's TCP.
    Input,
    /// Behind the sender's TCP, before any device.
    Output,
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Hook::Input => "INPUT",
            Hook::Output => "OUTPUT",
        }
    }
}

/// Which packets a rule is for: those with data to or from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) server: SocketAddr,
    /// Those to it.
    pub(super) asks: bool,
}

impl Match {
    pub(super) fn back(self) -> Match {
        Match {
            asks: !self.asks,
            ..self
        }
    }

    pub(super) fn text(self) -> String {
        self.with_data(1)
    }

    /// With so many bytes or more.
    pub(super) fn with_data(self, least: usize) -> String {
        let (address, port) = match self.asks {
            true => ("-d", "--dport"),
            false => ("-s", "--sport"),
        };
        // An acknowledgement without data has an IP header, a TCP header and a time stamp.
        let empty = if self.server.is_ipv6() { 72 } else { 52 };
        format!(
            "-p tcp {address} {} {port} {} -m length --length {}:65535",
            self.server.ip(),
            self.server.port(),
            empty + least
        )
    }
}

/// A chain; dropped, it is not taken out: that is the undo's.
pub(super) struct Chain {
    pub(super) name: String,
    hook: Hook,
    ipv6: bool,
}

impl Chain {
    /// A name for one of our own.
    pub(super) fn new(hook: Hook, address: IpAddr) -> Chain {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Chain {
            name: format!("tierscope-{}-{count}", std::process::id()),
            hook,
            ipv6: address.is_ipv6(),
        }
    }

    /// A rule that logs; `rule` is one letter.
    pub(super) fn log(&self, matched: &str, rule: u8, group: u16) -> String {
        let to = format!(
            "NFLOG --nflog-prefix {} --nflog-group {group} --nflog-size 2048 --nflog-threshold 1",
            char::from(rule)
        );
        self.rule(matched, &to)
    }

    /// A rule that sends what matches to `target`.
    pub(super) fn rule(&self, matched: &str, target: &str) -> String {
        format!("-A {} {matched} -j {target}\n", self.name)
    }

    /// Puts it in, first of all, with these rules.
    pub(super) fn insert(&self, rules: &str) -> Result<()> {
        let (name, hook) = (&self.name, self.hook.name());
        self.restore(&format!(":{name} - [0:0]\n{rules}-I {hook} 1 -j {name}\n"))
    }

    /// Gives it other rules.
    pub(super) fn replace(&self, rules: &str) -> Result<()> {
        self.restore(&format!(":{} - [0:0]\n{rules}", self.name))
    }

    /// Whether the kernel takes these rules.
    pub(super) fn probe(&self, rules: &str) -> Result<()> {
        let undo = Undo::arm(&self.undo(), NOTHING)?;
        self.replace(rules)?;
        undo.now()
    }

    /// What takes it out, for `sh`. Nothing happens where it is out already.
    pub(super) fn undo(&self) -> String {
        let (program, name, hook) = (self.program(), &self.name, self.hook.name());
        format!(
            "{program} -w -D {hook} -j {name} 2>/dev/null\n\
             ! {program} -w -S {name} >/dev/null 2>&1 || {program} -w -F {name} && {program} -w -X {name}\n"
        )
    }

    fn program(&self) -> &'static str {
        if self.ipv6 { "ip6tables" } else { "iptables" }
    }

    fn restore(&self, text: &str) -> Result<()> {
        let program = format!("{}-restore", self.program());
        let arguments = ["--noflush", "--wait"];
        let fed = command::feed(&program, &arguments, &format!("*filter\n{text}COMMIT\n"));
        fed.map_err(|why| Error::Refused {
            fault: "what happens to packets",
            reason: format!("{why}. It takes root, and Debian's iptables"),
        })
    }
}
