//! The probes we know, by provider and name, and which of their arguments are strings.

use crate::wire_record::*;

/// Where a probe is in its binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Where the notes of this name say.
    Usdt,
    /// At the beginning of the exported function of this name.
    Entry,
    /// Where that function returns to.
    Return,
}

/// One probe of `ts_probe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// As in the note.
    pub provider: &'static str,
    /// As in the note, or the function's.
    pub name: &'static str,
    /// Where it is.
    pub site: Site,
    /// Its number in the records.
    pub id: u32,
    /// Bit i: argument i is a string.
    pub texts: u8,
    /// Which argument is kept as the sixth.
    pub sixth: usize,
}

impl Probe {
    /// `provider:name`; a function's return with `%return` behind it.
    pub fn full_name(&self) -> String {
        let suffix = match self.site {
            Site::Return => "%return",
            Site::Usdt | Site::Entry => "",
        };
        format!("{}:{}{suffix}", self.provider, self.name)
    }
}

/// The application's provider.
pub const APP: &str = "tierscope_app";
/// PostgreSQL's provider.
pub const POSTGRES: &str = "postgresql";

const fn app(name: &'static str, id: u32, texts: u8) -> Probe {
    Probe {
        provider: APP,
        ..postgres(name, id, texts)
    }
}

const fn postgres(name: &'static str, id: u32, texts: u8) -> Probe {
    Probe {
        provider: POSTGRES,
        name,
        site: Site::Usdt,
        id,
        texts,
        sixth: 5,
    }
}

const fn function(name: &'static str, site: Site, id: u32) -> Probe {
    Probe {
        site,
        ..postgres(name, id, 0)
    }
}

/// All that are attached. `statement__status` and `transaction__start` are not: they would fire four times per
/// query, and an execution brings its query along.
pub const PROBES: &[Probe] = &[
    app("request_start", TS_PROBE_REQUEST_START, 0b1100),
    app("request_end", TS_PROBE_REQUEST_END, 0),
    app("db_acquire_start", TS_PROBE_DB_ACQUIRE_START, 0),
    app("db_acquire_end", TS_PROBE_DB_ACQUIRE_END, 0),
    app("db_query_start", TS_PROBE_DB_QUERY_START, 0b100),
    app("db_query_end", TS_PROBE_DB_QUERY_END, 0),
    app("cache_hit", TS_PROBE_CACHE_HIT, 0b100),
    app("cache_miss", TS_PROBE_CACHE_MISS, 0b100),
    app("file_io_start", TS_PROBE_FILE_IO_START, 0b1100),
    app("file_io_end", TS_PROBE_FILE_IO_END, 0),
    app("span_start", TS_PROBE_SPAN_START, 0b100),
    app("span_end", TS_PROBE_SPAN_END, 0),
    postgres("query__parse__start", TS_PROBE_PG_PARSE_START, 0b1),
    postgres("query__parse__done", TS_PROBE_PG_PARSE_DONE, 0),
    postgres("query__rewrite__start", TS_PROBE_PG_REWRITE_START, 0),
    postgres("query__rewrite__done", TS_PROBE_PG_REWRITE_DONE, 0),
    postgres("query__plan__start", TS_PROBE_PG_PLAN_START, 0),
    postgres("query__plan__done", TS_PROBE_PG_PLAN_DONE, 0),
    postgres("query__execute__start", TS_PROBE_PG_EXECUTE_START, 0),
    postgres("query__execute__done", TS_PROBE_PG_EXECUTE_DONE, 0),
    postgres("transaction__commit", TS_PROBE_PG_TRANSACTION_COMMIT, 0),
    postgres("transaction__abort", TS_PROBE_PG_TRANSACTION_ABORT, 0),
    postgres("lock__wait__start", TS_PROBE_PG_LOCK_WAIT_START, 0),
    postgres("lock__wait__done", TS_PROBE_PG_LOCK_WAIT_DONE, 0),
    postgres("sort__start", TS_PROBE_PG_SORT_START, 0),
    postgres("sort__done", TS_PROBE_PG_SORT_DONE, 0),
    postgres("lwlock__wait__start", TS_PROBE_PG_LWLOCK_WAIT_START, 0b1),
    postgres("lwlock__wait__done", TS_PROBE_PG_LWLOCK_WAIT_DONE, 0b1),
    postgres("smgr__md__read__start", TS_PROBE_PG_SMGR_READ_START, 0),
    // The sixth is the backend that owns a temporary file, the seventh the bytes.
    Probe {
        sixth: 6,
        ..postgres("smgr__md__read__done", TS_PROBE_PG_SMGR_READ_DONE, 0)
    },
    // Commits end with it, and no probe is there.
    function("XLogFlush", Site::Entry, TS_PROBE_PG_WAL_FLUSH_START),
    function("XLogFlush", Site::Return, TS_PROBE_PG_WAL_FLUSH_DONE),
    // From an executor that is ready to change rows to the end of its triggers. A plain SELECT hits neither.
    function(
        "ExecInitModifyTable",
        Site::Return,
        TS_PROBE_PG_MODIFY_START,
    ),
    function(
        "AfterTriggerEndQuery",
        Site::Return,
        TS_PROBE_PG_MODIFY_DONE,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_stand_in_the_order_of_their_numbers() {
        assert!(PROBES.is_sorted_by_key(|probe| probe.id));
        for probe in PROBES {
            assert!(probe.id < TS_PROBE_COUNT, "{}", probe.name);
            assert!(probe.texts.count_ones() <= 2, "{}", probe.name);
        }
    }
}
