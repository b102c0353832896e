//! PostgreSQL messages as bytes.

/// A message: tag, length that counts itself, body.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

pub fn bind(statement: &str) -> Vec<u8> {
    message(b'B', format!("\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

pub fn describe(statement: &str) -> Vec<u8> {
    message(b'D', format!("S{statement}\0").as_bytes())
}

pub fn execute() -> Vec<u8> {
    message(b'E', b"\0\0\0\0\0")
}

pub fn close(statement: &str) -> Vec<u8> {
    message(b'C', format!("S{statement}\0").as_bytes())
}

pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub fn simple(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// Bind, Execute and Sync.
pub fn run(statement: &str) -> Vec<u8> {
    [bind(statement), execute(), sync()].concat()
}

/// Parse, Describe and Sync.
pub fn prepare(name: &str, sql: &str) -> Vec<u8> {
    [parse(name, sql), describe(name), sync()].concat()
}

pub fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

pub fn complete(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

/// The answer to Bind, Execute and Sync with one row of `size` bytes.
pub fn rows(count: u64, size: usize) -> Vec<u8> {
    let row = message(
        b'D',
        &[
            &1u16.to_be_bytes()[..],
            &(size as u32).to_be_bytes(),
            &vec![b'x'; size],
        ]
        .concat(),
    );
    [
        message(b'2', b""),
        row,
        complete(&format!("SELECT {count}")),
        ready(b'I'),
    ]
    .concat()
}

/// The answer to Parse, Describe and Sync.
pub fn prepared() -> Vec<u8> {
    [
        message(b'1', b""),
        message(b't', b"\0\0"),
        message(b'n', b""),
        ready(b'I'),
    ]
    .concat()
}

pub fn error(code: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0VERROR\0C{code}\0Mno\0\0").as_bytes())
}
