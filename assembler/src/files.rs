//! Calls on files, by thread.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tierscope_model::{File, FileId, FileName, FileOperation, Stack, Timestamp, attr};

use crate::log::insert;
use crate::phase::Phase;

/// Most calls kept of one thread.
const LIMIT: usize = 65_536;
/// Most names, and most stacks, kept; what comes after stays without.
const NAMES: usize = 65_536;

/// Names of files, and stacks.
#[derive(Default)]
pub(crate) struct Paths {
    names: FxHashMap<FileId, Arc<str>>,
    stacks: FxHashMap<u32, Arc<str>>,
    pub(crate) over_budget: u64,
}

impl Paths {
    pub(crate) fn name(&mut self, name: FileName) {
        if self.names.len() < NAMES || self.names.contains_key(&name.file) {
            self.names.insert(name.file, name.path.into());
        } else {
            self.over_budget += 1;
        }
    }

    pub(crate) fn stack(&mut self, stack: &Stack) {
        if self.stacks.len() < NAMES {
            self.stacks
                .insert(stack.stack, stack.frames.join("\n").into());
        } else {
            self.over_budget += 1;
        }
    }

    /// What the file is called now.
    pub(crate) fn of(&self, file: FileId) -> Option<Arc<str>> {
        self.names.get(&file).cloned()
    }
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    operation: FileOperation,
    file: FileId,
    path: Option<Arc<str>>,
    result: i64,
    offset: Option<u64>,
    stack: Option<u32>,
    /// A span tells of it.
    told: bool,
}

/// One thread's calls in order of time.
#[derive(Debug, Default)]
pub(crate) struct Files {
    log: VecDeque<Call>,
}

impl Files {
    /// True where the oldest call had to be forgotten for it.
    pub(crate) fn push(&mut self, file: &File, end: Timestamp, path: Option<Arc<str>>) -> bool {
        let call = Call {
            start: file.start,
            end,
            operation: file.operation,
            file: file.file,
            path,
            result: file.result,
            offset: file.offset,
            stack: file.stack,
            told: false,
        };
        let mut at = self.log.len();
        while at > 0 && self.log[at - 1].end > end {
            at -= 1;
        }
        insert(&mut self.log, at, call);
        let over = self.log.len() > LIMIT;
        if over {
            self.log.pop_front();
        }
        over
    }

    /// The calls within `[from, to]` that no span tells of yet and that `is_ours`, as phases.
    pub(crate) fn take(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        paths: &Paths,
        is_ours: impl Fn(&Call) -> bool,
    ) -> Vec<Phase> {
        let first = self.log.partition_point(|call| call.end < from);
        let after = self.log.partition_point(|call| call.end <= to);
        let calls = self.log.range_mut(first..after.max(first));
        let ours = calls.filter(|call| call.start >= from && !call.told && is_ours(call));
        ours.map(|call| {
            call.told = true;
            call.phase(paths)
        })
        .collect()
    }

    /// Forgets the calls before `time`; how many of them no span told of.
    pub(crate) fn forget(&mut self, time: Timestamp) -> u64 {
        let mut untold = 0;
        while let Some(call) = self.log.pop_front_if(|call| call.end < time) {
            untold += u64::from(!call.told);
        }
        untold
    }
}

impl Call {
    fn phase(&self, paths: &Paths) -> Phase {
        let name = match self.operation {
            FileOperation::Read => "file read",
            FileOperation::Write => "file write",
            FileOperation::Sync => "fsync",
            FileOperation::Open => "open",
        };
        let mut phase = Phase::new(name, self.start, self.end);
        let moves = matches!(self.operation, FileOperation::Read | FileOperation::Write);
        phase.bytes = u64::try_from(self.result).ok().filter(|_| moves);
        phase.offset = self.offset;
        let path = self.path.clone().or_else(|| paths.of(self.file));
        match &path {
            Some(path) => phase.attributes.set(attr::FILE_PATH, path.clone()),
            None => phase
                .attributes
                .set(attr::NOT_MEASURED, "path: the file's name was not seen"),
        }
        let object = || format!("{}:{}", self.file.dev, self.file.ino).into();
        phase.of = Some(path.unwrap_or_else(object));
        if self.result < 0 {
            let error = format!("errno {}", self.result.unsigned_abs());
            phase.attributes.set(attr::ERROR_TYPE, error);
            phase.of = None;
        }
        if let Some(stack) = self.stack.and_then(|stack| paths.stacks.get(&stack)) {
            phase.attributes.set(attr::CODE_STACKTRACE, stack.clone());
        }
        phase
    }
}
