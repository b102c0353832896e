//! Another session holds rows: whoever writes them waits.

use serde::{Deserialize, Serialize};
use tierscope_stack::Session;

use super::{Hit, Injector, Site, clock::now};
use crate::error::Result;

/// Which rows are held.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LockWait {
    /// The table.
    table: String,
    /// An SQL condition on its rows, e.g. `id % 2 = 0`.
    rows: String,
}

impl LockWait {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<RowLock> {
        Ok(RowLock {
            session: site.lab.session()?,
            lock: format!(
                "BEGIN; SELECT count(*) FROM (SELECT FROM {} WHERE {} FOR UPDATE) AS held;",
                self.table, self.rows
            ),
            held: None,
        })
    }
}

/// A session of PostgreSQL's superuser, over the lab's socket. Its end frees the rows.
pub(super) struct RowLock {
    session: Session,
    lock: String,
    held: Option<(u64, String)>,
}

impl Injector for RowLock {
    fn begin(&mut self) -> Result<()> {
        let rows = self.session.run(&self.lock)?;
        self.held = Some((now(), rows));
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        // Those who wait go on as soon as the server has freed the rows, and not before.
        let to_ns = now();
        self.session.run("ROLLBACK;")?;
        let hit = self.held.take().map(|(from_ns, rows)| Hit {
            from_ns,
            to_ns,
            request: None,
            magnitude_ns: None,
            clients: Vec::new(),
            what: format!("{rows} rows locked"),
        });
        Ok(hit.into_iter().collect())
    }
}
