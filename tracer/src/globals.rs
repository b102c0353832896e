//! Where a running PostgreSQL keeps what is read of it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use object::elf;
use object::read::elf::{ElfFile64, ProgramHeader, Sym, VersionTable};
use object::{Endianness, ReadCache, ReadRef};

/// Addresses in a process's memory of variables that PostgreSQL exports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Globals {
    /// A pointer to the wait event.
    pub(crate) my_wait_event_info: u64,
    /// `struct BufferUsage`; it begins with 64-bit counts of shared blocks hit and read (PostgreSQL 13 and newer).
    pub(crate) pg_buffer_usage: u64,
    /// A pointer to the text of what is executed.
    pub(crate) debug_query_string: u64,
}

/// Those of `pid`; `None` for any other program.
pub(crate) fn find(pid: u32) -> Option<Globals> {
    let exe = format!("/proc/{pid}/exe");
    let file = ReadCache::new(File::open(&exe).ok()?);
    let elf = ElfFile64::<Endianness, _>::parse(&file).ok()?;
    let wait_event = exported(&elf, &file, "my_wait_event_info")?;
    let buffer_usage = exported(&elf, &file, "pgBufferUsage")?;
    let query_string = exported(&elf, &file, "debug_query_string")?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let inode = fs::metadata(Path::new(&exe)).ok()?.ino();
    let bias = load_bias(&elf, &maps, inode)?;
    Some(Globals {
        my_wait_event_info: wait_event.checked_add(bias)?,
        pg_buffer_usage: buffer_usage.checked_add(bias)?,
        debug_query_string: query_string.checked_add(bias)?,
    })
}

/// The address that an ELF file gives an exported symbol, by its hash table: PostgreSQL exports ten thousand.
fn exported<'data, R: ReadRef<'data>>(
    elf: &ElfFile64<'data, Endianness, R>,
    data: R,
    name: &str,
) -> Option<u64> {
    let (endian, sections) = (elf.endian(), elf.elf_section_table());
    let (table, index) = sections.gnu_hash(endian, data).ok()??;
    let symbols = sections.symbol_table_by_index(endian, data, index).ok()?;
    let (name, any) = (name.as_bytes(), VersionTable::default());
    let (_, symbol) = table.find(endian, name, elf::gnu_hash(name), None, &symbols, &any)?;
    Some(symbol.st_value(endian))
}

/// How far the file with this inode was moved from the addresses in it, from `/proc/PID/maps`.
fn load_bias<'data, R: ReadRef<'data>>(
    elf: &ElfFile64<'data, Endianness, R>,
    maps: &str,
    inode: u64,
) -> Option<u64> {
    let mapped = maps.lines().find_map(|line| mapping(line, inode))?;
    let endian = elf.endian();
    let segments = elf.elf_program_headers().iter();
    let mut loaded = segments.filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    let holds = |segment: &&elf::ProgramHeader64<Endianness>| {
        segment.p_offset(endian) & !0xfff == mapped.offset
    };
    let segment = loaded.find(holds)?;
    Some(mapped.start.wrapping_sub(segment.p_vaddr(endian) & !0xfff))
}

/// One line of `/proc/PID/maps`.
struct Mapping {
    start: u64,
    offset: u64,
}

/// `start-end perms offset device inode path`, if it is of the file with this inode.
fn mapping(line: &str, inode: u64) -> Option<Mapping> {
    let mut fields = line.split_whitespace();
    let (start, _) = fields.next()?.split_once('-')?;
    let offset = fields.nth(1)?;
    let of: u64 = fields.nth(1)?.parse().ok()?;
    (of == inode).then_some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        offset: u64::from_str_radix(offset, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_is_read() {
        let line = "55d0c0a00000-55d0c0b00000 r--p 00002000 fe:01 4711       /usr/bin/x y";
        let mapped = mapping(line, 4711).expect("of this file");
        assert_eq!((mapped.start, mapped.offset), (0x55d0_c0a0_0000, 0x2000));
        assert!(mapping(line, 4712).is_none());
        assert!(mapping("7ffd-7ffe rw-p 0 00:00 0", 4711).is_none());
        assert!(mapping("", 0).is_none());
    }

    #[test]
    fn a_program_without_them_has_none() {
        assert_eq!(find(std::process::id()), None);
    }
}
