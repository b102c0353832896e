//! The USDT notes of a binary, as `readelf -n` lists them.

use std::{fs, path::Path};

use object::{
    Object, ObjectSection, ObjectSegment, Permissions,
    elf::FileHeader64,
    endian::LittleEndian,
    read::elf::{ElfFile64, NoteIterator},
};

/// One location of a probe.
#[derive(Debug)]
pub struct Note {
    pub provider: String,
    pub name: String,
    pub arguments: String,
    /// Where its nop is in the file.
    pub offset: u64,
    /// Where its semaphore is in the file.
    pub semaphore: u64,
}

/// All notes whose code was linked: the linker keeps the notes of functions it dropped.
pub fn read(binary: &Path) -> Vec<Note> {
    let data = fs::read(binary).expect("read the binary");
    let elf = ElfFile64::<LittleEndian>::parse(&*data).expect("an ELF file");
    let section = elf.section_by_name(".note.stapsdt").expect("USDT notes");
    let mut notes = NoteIterator::<FileHeader64<LittleEndian>>::new(
        LittleEndian,
        4,
        section.data().expect("its data"),
    )
    .expect("4-byte alignment");
    let mut found = Vec::new();
    while let Some(note) = notes.next().expect("a well-formed note") {
        found.extend(parse(&elf, note.desc()));
    }
    found
}

/// Three addresses (code, base, semaphore), then three NUL-terminated strings.
fn parse(elf: &ElfFile64<'_, LittleEndian>, description: &[u8]) -> Option<Note> {
    let (addresses, texts) = description.split_at(24);
    let address = |index: usize| {
        let bytes = addresses[8 * index..][..8].try_into();
        u64::from_le_bytes(bytes.expect("8 bytes"))
    };
    let mut texts = texts
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8(text.to_vec()).expect("UTF-8 in a note"));
    Some(Note {
        provider: texts.next()?,
        name: texts.next()?,
        arguments: texts.next()?,
        offset: file_offset(elf, address(0), |mapped| mapped.executable())?,
        semaphore: file_offset(elf, address(2), |mapped| mapped.writable())?,
    })
}

/// Where an address is in the file, in a segment that is mapped as `mapped` asks.
fn file_offset(
    elf: &ElfFile64<'_, LittleEndian>,
    address: u64,
    mapped: impl Fn(Permissions) -> bool,
) -> Option<u64> {
    let mut segments = elf
        .segments()
        .filter(|segment| mapped(segment.permissions()));
    segments.find_map(|segment| {
        let into = address.checked_sub(segment.address())?;
        let (start, size) = segment.file_range();
        (into < size).then_some(start + into)
    })
}
