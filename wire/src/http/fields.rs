//! The header fields that decide where a message ends and whose it is.

use httparse::Header;
use tierscope_model::RequestId;

use super::{NotHttp, Traceparent};

/// Longest client-chosen id that is taken, in bytes.
const MAX_CLIENT_ID: usize = 128;

/// Fields that the assembler needs: all that scrubbing leaves in place.
const NEEDED: [&str; 8] = [
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Upgrade",
    "X-Request-ID",
    "traceparent",
    "X-Client-Request-ID",
    "X-Client-Trace-Id",
];

/// The outermost transfer coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Chunked,
    Other,
}

#[derive(Default)]
pub(super) struct Fields {
    pub(super) content_length: Option<u64>,
    pub(super) coding: Option<Coding>,
    pub(super) request_id: Option<RequestId>,
    pub(super) client_request_id: Option<String>,
    pub(super) client_trace_id: Option<String>,
    traceparents: Vec<Option<Traceparent>>,
    close: bool,
    stay: bool,
    upgrade_asked: bool,
    upgrade_named: bool,
}

impl Fields {
    /// Reads them all; an unusable or repeated Content-Length makes the whole head unusable.
    pub(super) fn read(headers: &[Header<'_>]) -> Result<Fields, NotHttp> {
        let mut fields = Fields::default();
        for header in headers {
            fields.take(header)?;
        }
        Ok(fields)
    }

    fn take(&mut self, header: &Header<'_>) -> Result<(), NotHttp> {
        let value = header.value.trim_ascii();
        let Some(name) = NEEDED
            .iter()
            .find(|name| name.eq_ignore_ascii_case(header.name))
        else {
            return Ok(());
        };
        match *name {
            "Content-Length" => {
                let length = content_length(value).ok_or(NotHttp)?;
                if self.content_length.replace(length).is_some() {
                    return Err(NotHttp);
                }
            }
            "Transfer-Encoding" => self.coding = Some(outermost_coding(value)),
            "Connection" => self.connection(value),
            "Upgrade" => self.upgrade_named = true,
            "traceparent" => self.traceparents.push(Traceparent::parse(value)),
            "X-Request-ID" => self.request_id = self.request_id.or_else(|| request_id(value)),
            "X-Client-Request-ID" => self.client_request_id = client_id(value),
            _ => self.client_trace_id = client_id(value),
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.stay |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade_asked |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    pub(super) fn keep_alive(&self, version: u8) -> bool {
        !self.close && (version > 0 || self.stay)
    }

    pub(super) fn upgrade(&self) -> bool {
        self.upgrade_asked && self.upgrade_named
    }

    /// The only `traceparent`: of several, none counts (W3C Trace Context, 3.2).
    pub(super) fn traceparent(&self) -> Option<Traceparent> {
        match self.traceparents[..] {
            [only] => only,
            _ => None,
        }
    }
}

/// Whether scrubbing leaves a field of this name in place.
pub(super) fn is_needed(name: &[u8]) -> bool {
    NEEDED
        .iter()
        .any(|needed| needed.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether `start` can become the name of such a field.
pub(super) fn may_be_needed(start: &[u8]) -> bool {
    NEEDED.iter().any(|needed| {
        needed
            .as_bytes()
            .get(..start.len())
            .is_some_and(|same| same.eq_ignore_ascii_case(start))
    })
}

fn content_length(value: &[u8]) -> Option<u64> {
    // `u64::from_str` takes a sign.
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

fn outermost_coding(value: &[u8]) -> Coding {
    let last = value.rsplit(|&byte| byte == b',').next().unwrap_or(value);
    if last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
        Coding::Chunked
    } else {
        Coding::Other
    }
}

fn request_id(value: &[u8]) -> Option<RequestId> {
    str::from_utf8(value).ok()?.parse().ok()
}

fn client_id(value: &[u8]) -> Option<String> {
    let usable = value.len() <= MAX_CLIENT_ID && value.iter().all(u8::is_ascii_graphic);
    let text = str::from_utf8(value)
        .ok()
        .filter(|text| usable && !text.is_empty());
    text.map(str::to_owned)
}
