//! The ELF notes that say where a binary's probes are (`.note.stapsdt`).

use std::fs::File;
use std::path::Path;

use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, ReadCache, ReadRef};

use super::UsdtError;
use super::arg::{self, ArgError, Args};

/// `NT_STAPSDT`.
const NOTE_TYPE: u32 = 3;

/// One location of one probe.
#[derive(Clone, Debug)]
pub struct Note {
    /// Who brings it, such as `postgresql`.
    pub provider: String,
    /// Its name, such as `query__parse__start`.
    pub name: String,
    /// Where its instruction is in the file.
    pub offset: u64,
    /// Where its semaphore is in the file; 0: it has none.
    pub semaphore: u64,
    /// Where its arguments are.
    pub args: Result<Args, ArgError>,
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
pub fn read(path: &Path) -> Result<Vec<Note>, UsdtError> {
    let data = open(path).map_err(|source| UsdtError::Read {
        path: path.into(),
        source,
    })?;
    parse(&data).map_err(|source| UsdtError::Elf {
        path: path.into(),
        source,
    })
}

/// A binary of which only what is asked for comes into memory: with its debug information it is large.
pub(crate) fn open(path: &Path) -> std::io::Result<ReadCache<File>> {
    File::open(path).map(ReadCache::new)
}

/// As [`read`], of bytes however they are read.
///
/// # Errors
///
/// It is no 64-bit ELF file, or its notes are cut short.
pub fn parse<'data>(data: impl ReadRef<'data>) -> Result<Vec<Note>, object::Error> {
    let binary = Binary(ElfFile64::parse(data)?);
    let Some(section) = binary.0.section_by_name(".note.stapsdt") else {
        return Ok(Vec::new());
    };
    let base = binary
        .0
        .section_by_name(".stapsdt.base")
        .map(|base| base.address());
    let endian = binary.0.endian();
    let mut notes = Vec::new();
    if let Some(mut found) = section.elf_section_header().notes(endian, data)? {
        while let Some(note) = found.next()? {
            if note.name() == b"stapsdt" && note.n_type(endian).0 == NOTE_TYPE {
                notes.extend(binary.note(note.desc(), base));
            }
        }
    }
    Ok(notes)
}

/// Where the exported function `name` begins in the file; `None` where it is not exported.
///
/// # Errors
///
/// It is no 64-bit ELF file.
pub fn function<'data>(
    data: impl ReadRef<'data>,
    name: &str,
) -> Result<Option<u64>, object::Error> {
    let binary = Binary(ElfFile64::parse(data)?);
    let address = binary.symbol(name);
    Ok(address.and_then(|address| binary.file_offset(address, true)))
}

/// A parsed file, asked for what its notes refer to.
struct Binary<'data, R: ReadRef<'data>>(ElfFile64<'data, Endianness, R>);

impl<'data, R: ReadRef<'data>> Binary<'data, R> {
    /// Three addresses (location, base, semaphore), then three strings; `None` for ghosts and garbage.
    fn note(&self, desc: &[u8], base: Option<u64>) -> Option<Note> {
        let (addresses, text) = desc.split_at_checked(24)?;
        let address = |i: usize| self.read_u64(&addresses[i * 8..i * 8 + 8]);
        let mut strings = text.split(|byte| *byte == 0);
        let mut string = || Some(String::from_utf8_lossy(strings.next()?).into_owned());
        // Prelinking moves the code but not the notes; the base moves along and tells how far.
        let moved = base.map_or(0, |base| base.wrapping_sub(address(1)));
        let location = address(0).wrapping_add(moved);
        Some(Note {
            provider: string()?,
            name: string()?,
            args: self.args(location, &string()?),
            offset: self.file_offset(location, true)?,
            semaphore: match address(2) {
                0 => 0,
                semaphore => self.file_offset(semaphore, false)?,
            },
        })
    }

    fn args(&self, location: u64, text: &str) -> Result<Args, ArgError> {
        let place = arg::Place {
            machine: self.machine(),
            distance: &|symbol| Some(self.symbol(symbol)?.wrapping_sub(location) as i64),
        };
        arg::parse(&place, text)
    }

    fn machine(&self) -> Machine {
        match self.0.elf_header().e_machine(self.0.endian()) {
            elf::EM_X86_64 => Machine::X86_64,
            elf::EM_AARCH64 => Machine::Aarch64,
            _ => Machine::Other,
        }
    }

    /// The address of a symbol. A stripped binary keeps those that it exports.
    fn symbol(&self, name: &str) -> Option<u64> {
        let mut symbols = self.0.symbols().chain(self.0.dynamic_symbols());
        let found = symbols.find(|symbol| symbol.is_definition() && symbol.name() == Ok(name))?;
        Some(found.address())
    }

    fn read_u64(&self, bytes: &[u8]) -> u64 {
        let mut raw = [0; 8];
        raw.copy_from_slice(bytes);
        match self.0.endian() {
            Endianness::Little => u64::from_le_bytes(raw),
            Endianness::Big => u64::from_be_bytes(raw),
        }
    }

    /// Where `address` is in the file, through the load segment that holds it.
    fn file_offset(&self, address: u64, executable: bool) -> Option<u64> {
        let endian = self.0.endian();
        let segment = self.0.elf_program_headers().iter().find(|segment| {
            segment.p_type(endian) == elf::PT_LOAD
                && (segment.p_flags(endian).0 & elf::PF_X.0 != 0) == executable
                && address
                    .checked_sub(segment.p_vaddr(endian))
                    .is_some_and(|into| into < segment.p_memsz(endian))
        })?;
        Some(address - segment.p_vaddr(endian) + segment.p_offset(endian))
    }
}
