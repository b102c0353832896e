//! An index is missing: it is dropped, and made again.
//!
//! Both are done concurrently, so that no statement waits for a lock. What that costs each statement PostgreSQL
//! tells itself: in the windows it logs the CPU time of every execution, with its values, among which is the
//! request's id.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tierscope_stack::Session;

use super::statement_log::{Executed, executed};
use super::tail::Tail;
use super::{Hit, Injector, Site, clock::now};
use crate::error::{Error, Result};

/// Until the last statement that was planned without the index has ended, at most.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);
/// From so long on executions are logged with their values. With the index none takes so long.
const LOG: &str = "ALTER SYSTEM SET log_min_duration_statement = 10; \
                   ALTER SYSTEM SET log_statement_stats = on; SELECT pg_reload_conf();";
const LOG_NO_MORE: &str = "ALTER SYSTEM RESET log_min_duration_statement; \
                           ALTER SYSTEM RESET log_statement_stats; SELECT pg_reload_conf();";

/// Which index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MissingIndex {
    /// Its name.
    index: String,
}

impl MissingIndex {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<DroppedIndex> {
        let mut session = site.lab.session()?;
        let index = format!("'{}'::regclass", self.index);
        let made = session.run(&format!("SELECT pg_get_indexdef({index});"))?;
        let table = format!("SELECT indrelid::regclass FROM pg_index WHERE indexrelid = {index};");
        Ok(DroppedIndex {
            table: session.run(&table)?,
            session,
            index: self.index.clone(),
            made: made.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1),
            log: Tail::new(site.lab.logs().join("postgres.log")),
            from_ns: None,
        })
    }
}

/// In the lab's own cluster, which is thrown away: a crash leaves nothing to be undone.
pub(super) struct DroppedIndex {
    session: Session,
    index: String,
    /// The statement that makes it.
    made: String,
    table: String,
    log: Tail,
    from_ns: Option<u64>,
}

impl DroppedIndex {
    /// Waits until what the app's sessions run now has ended.
    fn settle(&mut self) -> Result<()> {
        let begun = Instant::now();
        let time = self.session.run("SELECT clock_timestamp();")?;
        let ask = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'lab' AND state = 'active' \
             AND query_start < '{time}';"
        );
        while self.session.run(&ask)? != "0" {
            if begun.elapsed() > PATIENCE {
                return Err(Error::Inject {
                    fault: "missing-index",
                    reason: format!("statements run for {} s", PATIENCE.as_secs()),
                });
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Injector for DroppedIndex {
    fn begin(&mut self) -> Result<()> {
        self.log.skip()?;
        self.session.run(LOG)?;
        self.from_ns = Some(now());
        let drop = format!("DROP INDEX CONCURRENTLY {};", self.index);
        self.session.run(&drop)?;
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(from_ns) = self.from_ns.take() else {
            return Ok(Vec::new());
        };
        // What the planner knew of the index went with it.
        let make = format!("{}; ANALYZE {};", self.made, self.table);
        self.session.run(&make)?;
        let to_ns = now();
        self.session.run(LOG_NO_MORE)?;
        self.settle()?;
        let hit = |run: Executed| Hit {
            from_ns,
            to_ns,
            request: Some(run.request),
            magnitude_ns: Some(run.on_cpu_ns),
            clients: Vec::new(),
            what: format!(
                "{:.1} ms of CPU time without {}",
                run.on_cpu_ns as f64 / 1e6,
                self.index
            ),
        };
        let runs = executed(&self.log.more()?);
        Ok(runs.into_iter().map(hit).collect())
    }
}
