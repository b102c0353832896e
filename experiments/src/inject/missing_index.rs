//! An index is missing: the planner does without it.
//!
//! It is hidden from the planner rather than dropped, because dropping and making it take locks that
//! would be faults of their own.

use serde::{Deserialize, Serialize};
use tierscope_stack::Session;

use super::{Hit, Injector, Site, clock::now};
use crate::error::Result;

/// Which index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MissingIndex {
    /// Its name.
    index: String,
}

impl MissingIndex {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<HiddenIndex> {
        let mut session = site.lab.session()?;
        session.run(&format!("SELECT '{}'::regclass;", self.index))?;
        Ok(HiddenIndex {
            session,
            index: self.index.clone(),
            from_ns: None,
        })
    }
}

/// In the lab's own cluster, which is thrown away: a crash leaves nothing to be undone.
pub(super) struct HiddenIndex {
    session: Session,
    index: String,
    from_ns: Option<u64>,
}

impl HiddenIndex {
    /// The second statement tells all sessions to plan anew.
    fn set(&mut self, valid: bool) -> Result<()> {
        let index = format!("'{}'::regclass", self.index);
        let told = self.session.run(&format!(
            "BEGIN; UPDATE pg_index SET indisvalid = {valid} WHERE indexrelid = {index}; \
             UPDATE pg_class SET reltuples = reltuples WHERE oid = \
             (SELECT indrelid FROM pg_index WHERE indexrelid = {index}); COMMIT;"
        ));
        told.map(drop).map_err(Into::into)
    }
}

impl Injector for HiddenIndex {
    fn begin(&mut self) -> Result<()> {
        self.set(false)?;
        self.from_ns = Some(now());
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let to_ns = now();
        self.set(true)?;
        let hit = self.from_ns.take().map(|from_ns| Hit {
            from_ns,
            to_ns,
            request: None,
            magnitude_ns: None,
            clients: Vec::new(),
            what: format!("{} hidden from the planner", self.index),
        });
        Ok(hit.into_iter().collect())
    }
}
