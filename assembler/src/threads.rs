//! What every traced thread did, as far back as a request that is not built yet can ask.
//!
//! A thread's switches tell what it did; its reads, writes and probes tell for whom, and between which
//! of them its files were read and written.

use rustc_hash::FxHashMap;
use tierscope_model::{
    Block, Doing, File, RequestId, Slice, SmolStr, SocketCookie, Switch, Timestamp,
};

use crate::app::RequestKey;
use crate::blocks::Blocks;
use crate::files::{Call, Files, Paths};
use crate::marks::{Mark, Marks};
use crate::phase::Phase;
use crate::poller;
use crate::reason;
use crate::stream::Caller;
use crate::timeline::{Lost, Piece, Timeline};

/// From when to when.
pub(crate) type Interval = (Timestamp, Timestamp);

/// A request and how it is called when another one's wait is told by it.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) key: RequestKey,
    pub(crate) label: SmolStr,
}

/// All that is kept of one thread.
#[derive(Default)]
struct Thread {
    timeline: Timeline,
    marks: Marks,
    files: Files,
    blocks: Blocks,
}

/// All traced threads.
#[derive(Default)]
pub(crate) struct Threads {
    known: FxHashMap<u32, Thread>,
    pub(crate) paths: Paths,
    lost: Vec<Lost>,
    /// The recording has switches: without any there is nothing to tell.
    measured: bool,
    /// Entries forgotten at a limit.
    pub(crate) over_budget: u64,
    /// Calls on files, and requests to disks, that no span tells of.
    pub(crate) files_apart: u64,
    pub(crate) blocks_apart: u64,
}

impl Threads {
    fn thread(&mut self, tid: u32) -> &mut Thread {
        self.known.entry(tid).or_default()
    }

    /// A thread is back on a CPU.
    pub(crate) fn switch(&mut self, time: Timestamp, switch: Switch) {
        self.measured = true;
        let over = self.thread(switch.tid).timeline.back(time, switch);
        self.over_budget += u64::from(over);
    }

    /// A thread read, wrote or hit a probe; the call returned at `until`.
    pub(crate) fn mark(&mut self, tid: u32, mark: Mark, until: Timestamp) {
        let thread = self.thread(tid);
        thread.timeline.seen(until);
        let over = thread.marks.push(mark);
        self.over_budget += u64::from(over);
    }

    /// When the first mark of `tid` after `time` was made.
    pub(crate) fn next_mark(&self, tid: u32, time: Timestamp) -> Option<Timestamp> {
        self.known.get(&tid)?.marks.after(time)
    }

    /// A thread was on a CPU.
    pub(crate) fn seen(&mut self, tid: u32, time: Timestamp) {
        self.thread(tid).timeline.seen(time);
    }

    /// A thread turned to what sampling leaves out.
    pub(crate) fn turned(&mut self, tid: u32, time: Timestamp) {
        self.thread(tid).timeline.turned(time);
    }

    /// The read that a request was taken from is that request's.
    pub(crate) fn adopt_read(&mut self, tid: u32, cookie: SocketCookie, owner: &Owner) {
        self.thread(tid).marks.adopt_read(cookie, owner);
    }

    pub(crate) fn file(&mut self, file: &File, end: Timestamp) {
        let path = self.paths.of(file.file);
        let thread = self.known.entry(file.tid).or_default();
        thread.timeline.seen(end);
        let dropped = thread.files.push(file, end, path);
        self.over_budget += u64::from(dropped);
    }

    pub(crate) fn block(&mut self, block: &Block, end: Timestamp) {
        let dropped = self.thread(block.tid).blocks.push(block, end);
        self.over_budget += u64::from(dropped);
    }

    pub(crate) fn loss(&mut self, first: Timestamp, last: Timestamp) {
        self.lost.push((first, last));
    }

    /// What thread `tid` did: slices that tile `[from, to]`. Empty where the recording has no switches.
    pub(crate) fn slices(&self, tid: u32, from: Timestamp, to: Timestamp) -> Vec<Slice> {
        let slice = |doing| Slice {
            start: from,
            end: to,
            doing,
            tid,
            reason: None,
            instead: None,
            instead_ns: None,
            shared: false,
        };
        match self.known.get(&tid).filter(|_| self.measured) {
            Some(thread) => {
                let pieces = thread.timeline.cut(from, to, &self.lost);
                pieces.map(|piece| piece.slice(tid)).collect()
            }
            None if self.measured && to > from => vec![slice(Doing::Unknown)],
            None => Vec::new(),
        }
    }

    /// When `tid` worked for `key`: from each event that made it the request's to the thread's next
    /// event of another or its rest. In order, and apart.
    pub(crate) fn worked(&self, tid: u32, key: RequestKey, (from, to): Interval) -> Vec<Interval> {
        let Some(thread) = self.known.get(&tid).filter(|_| self.measured) else {
            return Vec::new();
        };
        let mut worked: Vec<Interval> = Vec::new();
        for (start, end, held) in thread.marks.stretches(key, from, to) {
            let end = match held {
                true => end,
                false => self.rest(thread, start, end),
            };
            match worked.last_mut().filter(|last| last.1 == start) {
                Some(last) => last.1 = end,
                None => worked.push((start, end)),
            }
        }
        worked
    }

    /// When the thread first lay down in `[from, to]`, or `to`.
    fn rest(&self, thread: &Thread, from: Timestamp, to: Timestamp) -> Timestamp {
        let parks = |piece: &Piece<'_>| {
            piece.doing == Doing::Waiting && piece.switch.is_some_and(reason::parks)
        };
        let mut pieces = thread.timeline.cut(from, to, &self.lost);
        pieces.find(parks).map_or(to, |piece| piece.start)
    }

    /// The times within `[from, to]` in which a process stood still for want of a CPU.
    pub(crate) fn standstills(&self, pid: u32, within: Interval) -> Vec<Slice> {
        poller::standstills(self.of_process(pid), within, &self.lost)
    }

    fn of_process(&self, pid: u32) -> impl Iterator<Item = (u32, &Timeline)> {
        let known = self.known.iter();
        known
            .filter(move |(_, thread)| thread.timeline.pid() == Some(pid))
            .map(|(tid, thread)| (*tid, &thread.timeline))
    }

    /// What a reader did in `[from, to]`, and while it ran, for whom, unless that is request `own`.
    pub(crate) fn meanwhile(
        &self,
        Caller { pid, tid }: Caller,
        (from, to): Interval,
        own: Option<RequestId>,
    ) -> Vec<Slice> {
        let others = || self.of_process(pid).filter(|(other, _)| *other != tid);
        let slices = poller::in_place(self.slices(tid, from, to), others, &self.lost);
        let served = |thread: &&Thread| {
            let mut marks = thread.marks.within(from, to);
            marks.any(|(_, _, mark)| mark.other_than(own).is_some())
        };
        let Some(thread) = self.known.get(&tid).filter(served) else {
            return slices;
        };
        let mut out = Vec::with_capacity(slices.len());
        for slice in slices {
            if slice.doing != Doing::Running {
                out.push(slice);
                continue;
            }
            let mut at = slice.start;
            for (start, end, mark) in thread.marks.within(slice.start, slice.end) {
                let awake = || self.rest(thread, mark.time, start) == start;
                let instead = mark
                    .other_than(own)
                    .filter(|_| mark.time >= start || awake());
                push_running(&mut out, &slice, (at, start), None);
                push_running(&mut out, &slice, (start, end), instead);
                at = end;
            }
            push_running(&mut out, &slice, (at, slice.end), None);
        }
        out
    }

    /// What `tid` did with files and disks in `[from, to]`, of the files' calls those that are `ours`.
    pub(crate) fn did(
        &mut self,
        tid: u32,
        (from, to): Interval,
        ours: impl Fn(&Call, &Marks) -> bool,
    ) -> Vec<Phase> {
        let Some(thread) = self.known.get_mut(&tid) else {
            return Vec::new();
        };
        let marks = &thread.marks;
        let mut phases = thread
            .files
            .take((from, to), &self.paths, |call| ours(call, marks));
        phases.extend(thread.blocks.take(from, to));
        phases
    }

    /// The same, within the time that `tid` `worked` for a request.
    pub(crate) fn did_for(&mut self, tid: u32, worked: &[Interval]) -> Vec<Phase> {
        let mut phases = Vec::new();
        for stretch in worked {
            phases.extend(self.did(tid, *stretch, |_, _| true));
        }
        phases
    }

    /// Forgets what nobody asks for who asks for nothing before `time`.
    pub(crate) fn forget(&mut self, time: Timestamp) {
        self.lost.retain(|(_, last)| *last >= time);
        let (mut files, mut blocks) = (0, 0);
        self.known.retain(|_, thread| {
            thread.timeline.forget(time);
            thread.marks.forget(time);
            files += thread.files.forget(time);
            blocks += thread.blocks.forget(time);
            thread.timeline.last() >= time || !thread.blocks.is_empty()
        });
        self.files_apart += files;
        self.blocks_apart += blocks;
    }

    /// The recording ended: what no span told of by now, none will.
    pub(crate) fn finish(&mut self) {
        self.forget(Timestamp(u64::MAX));
    }
}

/// A part of a slice of a running thread; `instead` is whom it worked for.
fn push_running(out: &mut Vec<Slice>, whole: &Slice, part: Interval, instead: Option<&Owner>) {
    if part.1 <= part.0 {
        return;
    }
    let instead = instead.map(|owner| &owner.label);
    let goes_on = |last: &&mut Slice| {
        last.end == part.0 && last.doing == whole.doing && last.instead.as_ref() == instead
    };
    match out.last_mut().filter(goes_on) {
        Some(last) => last.end = part.1,
        None => out.push(Slice {
            start: part.0,
            end: part.1,
            instead: instead.cloned(),
            ..whole.clone()
        }),
    }
}
