//! A block's form: its header, its codec, its check sum.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire_record::ts_head;

/// Most bytes of records in a block, when reading; the writer makes smaller ones.
pub(super) const MAX_RAW: usize = 4 << 20;
const MAGIC: [u8; 4] = *b"TSBK";
/// As they are.
const CODEC_NONE: u32 = 0;
/// LZ4's block format.
const CODEC_LZ4: u32 = 1;

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct BlockHeader {
    magic: [u8; 4],
    codec: U32,
    records: U32,
    raw_len: U32,
    stored_len: U32,
    crc: U32,
}

impl BlockHeader {
    /// Bytes stored behind it; `None` where it is not a block's header.
    pub(super) fn stored_len(&self) -> Option<usize> {
        let (raw, stored) = (self.raw_len.get() as usize, self.stored_len.get() as usize);
        let known = matches!(self.codec.get(), CODEC_NONE | CODEC_LZ4);
        let fits = self.records.get() as usize <= raw / size_of::<ts_head>();
        // The writer stores what LZ4 does not make smaller as it is.
        (self.magic == MAGIC && known && fits && raw <= MAX_RAW && stored <= raw).then_some(stored)
    }

    /// Unpacks `stored` into `raw`; false where the bytes are not those that were written.
    pub(super) fn unpack(&self, stored: &[u8], raw: &mut Vec<u8>) -> bool {
        let len = self.raw_len.get() as usize;
        // What the block before left there is overwritten: only what is longer has to be cleared.
        raw.resize(len, 0);
        if self.crc_of(stored) != self.crc.get() {
            return false;
        }
        if self.codec.get() == CODEC_NONE {
            let whole = stored.len() == len;
            if whole {
                raw.copy_from_slice(stored);
            }
            return whole;
        }
        lz4_flex::block::decompress_into(stored, raw).is_ok_and(|len| len == raw.len())
    }

    fn crc_of(&self, stored: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        let fields = self.as_bytes();
        crc.update(&fields[..fields.len() - size_of::<U32>()]);
        crc.update(stored);
        crc.finalize()
    }
}

/// Appends a block of `records` records, `raw`, to `out`.
pub(super) fn pack(raw: &[u8], records: u32, out: &mut Vec<u8>) {
    let start = out.len();
    let body = start + size_of::<BlockHeader>();
    out.resize(
        body + lz4_flex::block::get_maximum_output_size(raw.len()),
        0,
    );
    let packed = lz4_flex::block::compress_into(raw, &mut out[body..]);
    let codec = match packed {
        Ok(len) if len < raw.len() => {
            out.truncate(body + len);
            CODEC_LZ4
        }
        _ => {
            out.truncate(body);
            out.extend_from_slice(raw);
            CODEC_NONE
        }
    };
    let stored = &out[body..];
    let mut header = BlockHeader {
        magic: MAGIC,
        codec: U32::new(codec),
        records: U32::new(records),
        raw_len: U32::new(raw.len() as u32),
        stored_len: U32::new(stored.len() as u32),
        crc: U32::ZERO,
    };
    header.crc.set(header.crc_of(stored));
    out[start..body].copy_from_slice(header.as_bytes());
}
