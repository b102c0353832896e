//! The ELF notes that say where a binary's probes are (`.note.stapsdt`).

use std::fs;
use std::path::Path;

use object::elf::{self, FileHeader64};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSection};

use super::UsdtError;

/// `NT_STAPSDT`.
const NOTE_TYPE: u32 = 3;

/// One location of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who brings it, such as `postgresql`.
    pub provider: String,
    /// Its name, such as `query__parse__start`.
    pub name: String,
    /// Where its instruction is in the file.
    pub offset: u64,
    /// Where its semaphore is in the file; 0: it has none.
    pub semaphore: u64,
    /// Where its arguments are, in the assembler's words.
    pub args: String,
}

/// The machine that a binary's probes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// One whose operands we cannot read.
    Other,
}

/// All probe locations of the binary at `path`; none when it has no such notes.
///
/// Locations outside every executable segment are skipped: functions the linker dropped leave such ghosts.
///
/// # Errors
///
/// The file cannot be read or is no 64-bit ELF file.
pub fn read(path: &Path) -> Result<(Machine, Vec<Note>), UsdtError> {
    let data = fs::read(path).map_err(|source| UsdtError::Read {
        path: path.into(),
        source,
    })?;
    parse(&data).map_err(|source| UsdtError::Elf {
        path: path.into(),
        source,
    })
}

/// As [`read`], of a file in memory.
///
/// # Errors
///
/// It is no 64-bit ELF file, or its notes are cut short.
pub fn parse(data: &[u8]) -> Result<(Machine, Vec<Note>), object::Error> {
    let file = ElfFile64::<Endianness>::parse(data)?;
    let endian = file.endian();
    let machine = match file.elf_header().e_machine(endian) {
        elf::EM_X86_64 => Machine::X86_64,
        elf::EM_AARCH64 => Machine::Aarch64,
        _ => Machine::Other,
    };
    let Some(section) = file.section_by_name(".note.stapsdt") else {
        return Ok((machine, Vec::new()));
    };
    let base = file.section_by_name(".stapsdt.base").map(|s| s.address());
    let segments = file.elf_program_headers();
    let mut notes = Vec::new();
    if let Some(mut found) = section.elf_section_header().notes(endian, data)? {
        while let Some(note) = found.next()? {
            if note.name() == b"stapsdt" && note.n_type(endian).0 == NOTE_TYPE {
                notes.extend(parse_note(note.desc(), base, segments, endian));
            }
        }
    }
    Ok((machine, notes))
}

type Segments<'a> = &'a [<FileHeader64<Endianness> as FileHeader>::ProgramHeader];

/// Three addresses (location, base, semaphore), then three strings; `None` for ghosts and garbage.
fn parse_note(
    desc: &[u8],
    base: Option<u64>,
    segments: Segments<'_>,
    endian: Endianness,
) -> Option<Note> {
    let (addresses, text) = desc.split_at_checked(24)?;
    let address = |i: usize| read_u64(&addresses[i * 8..i * 8 + 8], endian);
    let mut strings = text.split(|byte| *byte == 0);
    let mut string = || Some(String::from_utf8_lossy(strings.next()?).into_owned());
    // Prelinking moves the code but not the notes; the base moves along and tells how far.
    let moved = base.map_or(0, |base| base.wrapping_sub(address(1)));
    Some(Note {
        provider: string()?,
        name: string()?,
        args: string()?,
        offset: file_offset(address(0).wrapping_add(moved), segments, endian, true)?,
        semaphore: match address(2) {
            0 => 0,
            semaphore => file_offset(semaphore, segments, endian, false)?,
        },
    })
}

fn read_u64(bytes: &[u8], endian: Endianness) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(bytes);
    match endian {
        Endianness::Little => u64::from_le_bytes(raw),
        Endianness::Big => u64::from_be_bytes(raw),
    }
}

/// Where `address` is in the file, through the load segment that holds it.
fn file_offset(
    address: u64,
    segments: Segments<'_>,
    endian: Endianness,
    executable: bool,
) -> Option<u64> {
    let segment = segments.iter().find(|segment| {
        segment.p_type(endian) == elf::PT_LOAD
            && (segment.p_flags(endian).0 & elf::PF_X.0 != 0) == executable
            && address
                .checked_sub(segment.p_vaddr(endian))
                .is_some_and(|into| into < segment.p_memsz(endian))
    })?;
    Some(address - segment.p_vaddr(endian) + segment.p_offset(endian))
}
