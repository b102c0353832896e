//! A number that tells statements apart.

/// FNV-1a, 64 bits: the same on every host and in every version.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a of a masked statement in lower case, parameters without their numbers: a longer `IN` list before
/// them shifts these.
pub fn fingerprint(masked: &str) -> u64 {
    let mut numbered = false;
    masked.bytes().fold(OFFSET, |hash, byte| {
        numbered = byte == b'$' || (numbered && byte.is_ascii_digit());
        if numbered && byte != b'$' {
            return hash;
        }
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(PRIME)
    })
}
