//! What block devices did for a thread.

use std::collections::VecDeque;

use tierscope_model::{Block, BlockOperation, Timestamp, attr};

use crate::log::insert;
use crate::phase::Phase;

/// Most requests kept of one thread.
const LIMIT: usize = 16_384;

#[derive(Debug)]
struct Done {
    block: Block,
    end: Timestamp,
    /// A span tells of it.
    told: bool,
}

/// The requests that one thread gave to block devices, in order of completion.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    log: VecDeque<Done>,
}

impl Blocks {
    /// True where the oldest request had to be forgotten for it.
    pub(crate) fn push(&mut self, block: &Block, end: Timestamp) -> bool {
        let mut at = self.log.len();
        while at > 0 && self.log[at - 1].end > end {
            at -= 1;
        }
        let block = block.clone();
        let told = false;
        insert(&mut self.log, at, Done { block, end, told });
        let over = self.log.len() > LIMIT;
        if over {
            self.log.pop_front();
        }
        over
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// The requests given and done within `[from, to]` that no span tells of yet, as phases. What was
    /// done later, nobody waited for in that time.
    pub(crate) fn take(&mut self, from: Timestamp, to: Timestamp) -> Vec<Phase> {
        let first = self.log.partition_point(|done| done.end < from);
        let after = self.log.partition_point(|done| done.end <= to);
        let within = self.log.range_mut(first..after.max(first));
        let ours = within.filter(|done| done.block.issued >= from && !done.told);
        ours.map(|done| {
            done.told = true;
            phase(&done.block, done.end)
        })
        .collect()
    }

    /// Forgets the requests before `time`; how many of them no span told of.
    pub(crate) fn forget(&mut self, time: Timestamp) -> u64 {
        let mut untold = 0;
        while let Some(done) = self.log.pop_front_if(|done| done.end < time) {
            untold += u64::from(!done.told);
        }
        untold
    }
}

fn phase(block: &Block, end: Timestamp) -> Phase {
    let name = match block.operation {
        BlockOperation::Read => "disk read",
        BlockOperation::Write => "disk write",
        BlockOperation::Flush => "disk flush",
        BlockOperation::Other => "disk request",
    };
    // The kernel's dev_t: 12 bits major, 20 bits minor.
    let device = format!("{}:{}", block.dev >> 20, block.dev & 0xf_ffff);
    let mut phase = Phase::new(name, block.issued, end);
    phase.leaf = true;
    phase.bytes = Some(u64::from(block.bytes));
    phase.attributes.set(attr::DISK_DEVICE, device.clone());
    phase.of = Some(device.into());
    if block.error != 0 {
        let error = format!("block status {}", block.error);
        phase.attributes.set(attr::ERROR_TYPE, error);
        phase.of = None;
    }
    phase
}
