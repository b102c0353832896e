//! The start-up walks: what the traced processes had before tracing began.

use std::io::{self, Read};

use aya::programs::iter::IterLink;
use aya::programs::{Iter, ProgramError};
use aya::{Btf, Ebpf};

use crate::TracerError;
use crate::hooks::program_mut;

/// The programs and what each goes over.
const WALKS: [(&str, &str); 2] = [("walk_threads", "task"), ("walk_sockets", "task_file")];

/// Has the kernel verify the programs.
pub(crate) fn load(bpf: &mut Ebpf, btf: &Btf) -> Result<(), TracerError> {
    WALKS.iter().try_for_each(|(program, over)| {
        let iter = program_mut(bpf, program).and_then(<&mut Iter>::try_from);
        iter.and_then(|iter| iter.load(over, btf))
            .map_err(|source| refused(program, source))
    })
}

/// Has the kernel look at every thread and every open file of the traced processes.
pub(crate) fn all(bpf: &mut Ebpf) -> Result<(), TracerError> {
    WALKS.iter().try_for_each(|(program, _)| {
        let link = attach(bpf, program).map_err(|source| refused(program, source))?;
        let walk = link.into_file().map_err(io::Error::other);
        // The program writes no text: reading to the end is what makes it run.
        walk.and_then(|mut walk| walk.read_to_end(&mut Vec::new()))
            .map(drop)
            .map_err(TracerError::Walk)
    })
}

fn attach(bpf: &mut Ebpf, program: &str) -> Result<IterLink, ProgramError> {
    let iter: &mut Iter = program_mut(bpf, program)?.try_into()?;
    let link = iter.attach()?;
    iter.take_link(link)
}

fn refused(program: &'static str, source: ProgramError) -> TracerError {
    TracerError::Program {
        program,
        source: Box::new(source),
    }
}
