//! PostgreSQL's reads of pages through its storage manager.

use tierscope_model::{Timestamp, Usdt, attr};

use crate::phase::Phase;

/// The read that a backend is in.
#[derive(Debug, Default)]
pub(crate) struct PageReads {
    open: Option<(Timestamp, Usdt)>,
}

impl PageReads {
    pub(crate) fn start(&mut self, usdt: Usdt, time: Timestamp) {
        self.open = Some((time, usdt));
    }

    /// The read as a phase, if its start was seen. Arguments: fork, block, tablespace, database,
    /// relation file; at the end the bytes, too.
    pub(crate) fn done(&mut self, usdt: &Usdt, end: Timestamp) -> Option<Phase> {
        let (start, begun) = self.open.take()?;
        if begun.args[..5] != usdt.args[..5] {
            return None;
        }
        let [fork, block, tablespace, database, relation, bytes] = usdt.args;
        let fork = match fork {
            0 => "",
            1 => " fsm",
            2 => " vm",
            3 => " init",
            _ => " other fork",
        };
        let file = format!("{tablespace}/{database}/{relation}{fork}");
        let mut phase = Phase::new("page read", start, end);
        phase.attributes.set(attr::RELATION_FILE, file.clone());
        phase.attributes.set(attr::RELATION_BLOCK, block);
        phase.of = Some(file.into());
        phase.bytes = Some(bytes);
        Some(phase)
    }
}
