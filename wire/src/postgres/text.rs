//! Strings that end in NUL, in bytes that may end first.

/// Takes a string off the front of `bytes`: its text and whether all of it is there. What is not UTF-8 ends
/// it early.
pub(super) fn take<'a>(bytes: &mut &'a [u8]) -> (&'a str, bool) {
    let end = bytes.iter().position(|&byte| byte == 0);
    let raw = &bytes[..end.unwrap_or(bytes.len())];
    *bytes = end.map_or(&[], |end| &bytes[end + 1..]);
    match str::from_utf8(raw) {
        Ok(text) => (text, end.is_some()),
        Err(error) => (
            str::from_utf8(&raw[..error.valid_up_to()]).unwrap_or_default(),
            false,
        ),
    }
}

/// Length of the string at the front of `bytes`, its NUL included; all there is where it does not end.
pub(super) fn len(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|&byte| byte == 0);
    end.map_or(bytes.len(), |end| end + 1)
}
