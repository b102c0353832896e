//! One program and the place it is attached to.

use aya::programs::{BtfTracePoint, FEntry, FExit, Program, ProgramError, TracePoint};
use aya::{Btf, Ebpf};

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A tracepoint, its arguments typed by BTF.
    TpBtf(&'static str),
    /// A function's entry, by trampoline.
    Fentry(&'static str),
    /// A function's return, by trampoline.
    Fexit(&'static str),
    /// A classic tracepoint: its category and its name.
    Tracepoint(&'static str, &'static str),
}

/// One program and its place.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The program's name in the object.
    pub program: &'static str,
    /// Where it goes.
    pub attach: Attach,
}

pub(super) const fn tp(program: &'static str, tracepoint: &'static str) -> Place {
    Place {
        program,
        attach: Attach::TpBtf(tracepoint),
    }
}

pub(super) const fn fentry(program: &'static str, function: &'static str) -> Place {
    Place {
        program,
        attach: Attach::Fentry(function),
    }
}

pub(super) const fn fexit(program: &'static str, function: &'static str) -> Place {
    Place {
        program,
        attach: Attach::Fexit(function),
    }
}

/// A system call's own tracepoint.
pub(super) const fn syscall(program: &'static str, tracepoint: &'static str) -> Place {
    Place {
        program,
        attach: Attach::Tracepoint("syscalls", tracepoint),
    }
}

impl Place {
    /// Its kind and its target, as reports show them.
    pub fn describe(&self) -> (&'static str, &'static str) {
        match self.attach {
            Attach::TpBtf(tracepoint) => ("tp_btf", tracepoint),
            Attach::Fentry(function) => ("fentry", function),
            Attach::Fexit(function) => ("fexit", function),
            Attach::Tracepoint(_, tracepoint) => ("tracepoint", tracepoint),
        }
    }

    pub(super) fn load(&self, bpf: &mut Ebpf, btf: &Btf) -> Result<(), ProgramError> {
        let program = program_mut(bpf, self.program)?;
        match self.attach {
            Attach::TpBtf(name) => as_tp_btf(program)?.load(name, btf),
            Attach::Fentry(name) => as_fentry(program)?.load(name, btf),
            Attach::Fexit(name) => as_fexit(program)?.load(name, btf),
            // One program may be at many of them.
            Attach::Tracepoint(..) if program.fd().is_ok() => Ok(()),
            Attach::Tracepoint(..) => as_tracepoint(program)?.load(),
        }
    }

    pub(super) fn unload(&self, bpf: &mut Ebpf) -> Result<(), ProgramError> {
        let program = program_mut(bpf, self.program)?;
        match self.attach {
            Attach::TpBtf(_) => as_tp_btf(program)?.unload(),
            Attach::Fentry(_) => as_fentry(program)?.unload(),
            Attach::Fexit(_) => as_fexit(program)?.unload(),
            Attach::Tracepoint(..) => as_tracepoint(program)?.unload(),
        }
    }

    pub(super) fn attach(&self, bpf: &mut Ebpf) -> Result<(), ProgramError> {
        let program = program_mut(bpf, self.program)?;
        match self.attach {
            Attach::TpBtf(_) => as_tp_btf(program)?.attach().map(drop),
            Attach::Fentry(_) => as_fentry(program)?.attach().map(drop),
            Attach::Fexit(_) => as_fexit(program)?.attach().map(drop),
            Attach::Tracepoint(category, name) => {
                as_tracepoint(program)?.attach(category, name).map(drop)
            }
        }
    }
}

fn as_tp_btf(program: &mut Program) -> Result<&mut BtfTracePoint, ProgramError> {
    program.try_into()
}

fn as_fentry(program: &mut Program) -> Result<&mut FEntry, ProgramError> {
    program.try_into()
}

fn as_fexit(program: &mut Program) -> Result<&mut FExit, ProgramError> {
    program.try_into()
}

fn as_tracepoint(program: &mut Program) -> Result<&mut TracePoint, ProgramError> {
    program.try_into()
}

/// The program `name` of the embedded object.
pub(crate) fn program_mut<'a>(
    bpf: &'a mut Ebpf,
    name: &str,
) -> Result<&'a mut Program, ProgramError> {
    bpf.program_mut(name).ok_or(ProgramError::NotLoaded)
}
