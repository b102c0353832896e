//! The first message of a connection, which has no tag.

/// What the first message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartupKind {
    /// A session.
    Session,
    /// TLS; the server answers with one byte, then a first message comes again.
    Ssl,
    /// GSSAPI encryption; answered as `Ssl` is.
    Gss,
    /// That another session's query be cancelled; the server closes without an answer.
    Cancel,
}

/// The first message of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Startup {
    /// What it asks for.
    pub kind: StartupKind,
    /// Its length in bytes, captured or not.
    pub len: usize,
}

/// Longest first message that a server takes, in bytes.
const MAX_LEN: u32 = 10_000;

/// Recognises a first message by its length and code.
pub fn startup(bytes: &[u8]) -> Option<Startup> {
    let (length, rest) = bytes.split_first_chunk()?;
    let code = u32::from_be_bytes(*rest.first_chunk()?);
    let length = u32::from_be_bytes(*length);
    let kind = match (code, length) {
        (80_877_103, 8) => StartupKind::Ssl,
        (80_877_104, 8) => StartupKind::Gss,
        // PostgreSQL 18 has keys of up to 256 bytes.
        (80_877_102, 16..=268) => StartupKind::Cancel,
        (0x0003_0000..=0x0003_ffff, 9..=MAX_LEN) => StartupKind::Session,
        _ => return None,
    };
    Some(Startup {
        kind,
        len: length as usize,
    })
}
