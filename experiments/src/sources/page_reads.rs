//! PostgreSQL's count of the pages that each relation had read against the storage manager's reads.
//!
//! Held together are the lab's own tables, their indexes and TOAST: a backend's start reads catalogues
//! before it counts.

use std::collections::{BTreeMap, HashSet};
use std::thread::sleep;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tierscope_model::{Body, Event, Probe};
use tierscope_stack::Lab;

use super::outside::Said;
use crate::check::{Check, Promise};

const PAGE_READS: Promise = Promise {
    name: "page_reads",
    bound: "equal for every relation",
    includes: "theirs: heap, index and TOAST blks_read of the lab's tables, statistics flushed; ours: the \
               storage manager's page reads of the same files. Neither tells reads of a device",
};
/// A backend that was told to end does so at once; its statistics are flushed by then.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What one relation had read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationReads {
    /// Its name.
    pub name: String,
    /// Its file, as the storage manager knows it.
    pub file: u64,
    /// Pages.
    pub reads: u64,
}

const READS: &str = "
SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM (
    SELECT relname AS name, pg_relation_filenode(relid)::bigint AS file, heap_blks_read AS reads
    FROM pg_statio_user_tables
    UNION ALL
    SELECT indexrelname, pg_relation_filenode(indexrelid)::bigint, idx_blks_read
    FROM pg_statio_user_indexes
) AS r;";

/// Turns off what reads on its own.
pub(super) fn quiet(lab: &Lab) -> Said<()> {
    lab.ask("ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf();")
        .map(drop)
        .map_err(|e| e.to_string())
}

/// The counts so far.
pub(super) fn ask(lab: &Lab) -> Said<Vec<RelationReads>> {
    let rows = lab.ask(READS).map_err(|e| e.to_string())?;
    serde_json::from_str(&rows).map_err(|e| e.to_string())
}

/// Ends the app's backends, which flushes their statistics.
pub(super) fn flush(lab: &Lab) -> Said<()> {
    let told = lab.ask(
        // Who is meant is settled first: a condition that ends backends could be tried on our own.
        "WITH theirs AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE usename = 'lab') \
         SELECT string_agg(pid::text, ',') FROM theirs WHERE pg_terminate_backend(pid);",
    );
    let told = told.map_err(|e| e.to_string())?;
    let gone = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid IN ({});",
        told.trim()
    );
    for _ in 0..PATIENCE {
        if lab.ask(&gone).map_err(|e| e.to_string())?.trim() == "0" {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err("the app's backends do not end, so their statistics are not flushed".to_owned())
}

/// What was read between two answers.
pub(super) fn since(before: &[RelationReads], after: Vec<RelationReads>) -> Vec<RelationReads> {
    let earlier = |file| {
        before
            .iter()
            .find(|r| r.file == file)
            .map_or(0, |r| r.reads)
    };
    let less = |r: RelationReads| RelationReads {
        reads: r.reads.saturating_sub(earlier(r.file)),
        ..r
    };
    after.into_iter().map(less).collect()
}

/// Both sides, by file.
#[derive(Debug)]
pub(super) struct PageReads<'a> {
    said: &'a Said<Vec<RelationReads>>,
    files: HashSet<u64>,
    ours: BTreeMap<u64, u64>,
    measured: bool,
}

impl<'a> PageReads<'a> {
    pub(super) fn new(said: &'a Said<Vec<RelationReads>>) -> PageReads<'a> {
        PageReads {
            said,
            files: said.iter().flatten().map(|r| r.file).collect(),
            ours: BTreeMap::new(),
            measured: false,
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let Body::Usdt(usdt) = &event.body else {
            return;
        };
        if usdt.probe != Probe::PgSmgrReadDone {
            return;
        }
        self.measured = true;
        let file = usdt.args[4];
        if self.files.contains(&file) {
            *self.ours.entry(file).or_default() += 1;
        }
    }

    pub(super) fn finish(self, lost: bool) -> Check {
        let said = match self.said {
            _ if lost => return PAGE_READS.not_checked("events were lost"),
            Err(reason) => return PAGE_READS.not_checked(reason.clone()),
            Ok(said) => said,
        };
        let total: u64 = said.iter().map(|r| r.reads).sum();
        if !self.measured && total > 0 {
            return PAGE_READS.not_checked("the storage manager's probes are not in the recording");
        }
        let ours = |r: &RelationReads| self.ours.get(&r.file).copied().unwrap_or(0);
        let differing: Vec<_> = said.iter().filter(|r| r.reads != ours(r)).collect();
        let mut value = format!("{total} pages of {} relations", said.len());
        if let Some(first) = differing.first() {
            value += &format!(
                ", {} differ: {} theirs, {} ours of {}",
                differing.len(),
                first.reads,
                ours(first),
                first.name
            );
        }
        PAGE_READS.judged(
            differing.is_empty(),
            value,
            &[
                ("pages", total as f64),
                ("relations", said.len() as f64),
                ("differing", differing.len() as f64),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use tierscope_model::{Timestamp, Usdt};

    use super::*;

    fn read(file: u64) -> Event {
        Event {
            time: Timestamp(1),
            cpu: 0,
            body: Body::Usdt(Usdt {
                probe: Probe::PgSmgrReadDone,
                pid: 1,
                tid: 1,
                args: [0, 7, 1663, 5, file, 8192],
                text: Default::default(),
            }),
        }
    }

    #[test]
    fn every_page_of_the_labs_files_must_be_seen() {
        let relation = |reads| RelationReads {
            name: "users".to_owned(),
            file: 9,
            reads,
        };
        let said = Ok(since(&[relation(3)], vec![relation(5)]));
        let checked = |reads: usize| {
            let mut pages = PageReads::new(&said);
            pages.event(&read(1259));
            (0..reads).for_each(|_| pages.event(&read(9)));
            pages.finish(false).is_ok()
        };
        assert!(checked(2));
        assert!(!checked(1) && !checked(3));
    }
}
