//! User stacks: the functions' names of those that FILE records tell of.
//!
//! Names are looked up on a thread of their own, so that emptying the ring never waits for it, and while
//! the process is likely to be there. The kernel's maps are never cleared: a number stands for one list
//! of addresses as long as the recording runs. A stack that finds its place in both of them taken goes
//! without, and is counted.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;

use aya::Ebpf;
use aya::maps::{MapData, StackTraceMap};
use blazesym::Pid;
use blazesym::symbolize::source::{Process, Source};
use blazesym::symbolize::{Input, Reason, Symbolized, Symbolizer};
use zerocopy::{FromBytes, IntoBytes};

use crate::counters::{head, map_error, take_map};
use crate::wire_record::{TS_KIND_FILE, TS_KIND_STACK, TS_STACKS, ts_file, ts_head, ts_stack};
use crate::{TracerError, clock};

/// Stacks that wait for their names; more are asked for when they are seen again.
const WAITING: usize = 64;
/// Characters kept of a function's name; a generic one has thousands.
const NAME: usize = 120;

/// One stack, innermost address first, and a process that it was seen in.
struct Question {
    stack: u32,
    pid: u32,
    addresses: Vec<u64>,
}

/// Has the stacks named that records tell of, each once.
pub(crate) struct Stacks {
    /// Stacks, and those whose place in the first map was taken.
    maps: [StackTraceMap<MapData>; 2],
    asked: HashSet<u32>,
    questions: SyncSender<Question>,
    answers: Receiver<Vec<u8>>,
}

impl Stacks {
    /// Takes the maps out of the object, and starts the thread; it ends when this is dropped.
    pub(crate) fn new(bpf: &mut Ebpf) -> Result<Self, TracerError> {
        let maps = [stack_map(bpf, "stacks")?, stack_map(bpf, "more_stacks")?];
        let (questions, asked) = sync_channel(WAITING);
        let (answer, answers) = channel();
        thread::Builder::new()
            .name("tierscope-sym".to_owned())
            .spawn(move || answer_all(&asked, &answer))
            .map_err(TracerError::Thread)?;
        Ok(Self {
            maps,
            asked: HashSet::new(),
            questions,
            answers,
        })
    }

    /// Asks for the stack that `record` tells of, if it is new.
    pub(crate) fn note(&mut self, record: &[u8]) {
        let is_file = |head: &ts_head| u32::from(head.kind) == TS_KIND_FILE;
        if !ts_head::read_from_prefix(record).is_ok_and(|(head, _)| is_file(&head)) {
            return;
        }
        if let Ok(file) = ts_file::read_from_bytes(record)
            && file.stack != 0
            && !self.asked.contains(&file.stack)
        {
            self.ask(file.stack, file.pid);
        }
    }

    fn ask(&mut self, stack: u32, pid: u32) {
        // The record's number counts on from one map to the other, and from 1.
        let (map, place) = ((stack - 1) / TS_STACKS, (stack - 1) % TS_STACKS);
        let map = self.maps.get(map as usize);
        let Some(trace) = map.and_then(|map| map.get(&place, 0).ok()) else {
            return;
        };
        let addresses = trace.frames().iter().map(|frame| frame.ip).collect();
        let question = Question {
            stack,
            pid,
            addresses,
        };
        if !matches!(
            self.questions.try_send(question),
            Err(TrySendError::Full(_))
        ) {
            self.asked.insert(stack);
        }
    }

    /// The STACK records that are ready.
    pub(crate) fn named(&self) -> impl Iterator<Item = Vec<u8>> {
        self.answers.try_iter()
    }
}

fn stack_map(bpf: &mut Ebpf, name: &'static str) -> Result<StackTraceMap<MapData>, TracerError> {
    take_map(bpf, name)?.try_into().map_err(map_error(name))
}

fn answer_all(questions: &Receiver<Question>, answer: &Sender<Vec<u8>>) {
    let symbols = Symbolizer::builder().enable_code_info(false).build();
    while let Ok(question) = questions.recv() {
        let record = record(question.stack, &frames(&symbols, &question));
        if answer.send(record).is_err() {
            return;
        }
    }
}

/// A line for each frame up to where the stack goes astray: a library that was built without frame
/// pointers hands on what it likes.
fn frames(symbols: &Symbolizer, question: &Question) -> String {
    let mut process = Process::new(Pid::from(question.pid));
    // Debug information would cost tens of megabytes and tell of inlined functions only.
    (process.debug_syms, process.perf_map) = (false, false);
    // A caller goes on after its call: the call itself is the byte before.
    let calls = |(at, address): (usize, &u64)| address.saturating_sub(u64::from(at > 0));
    let addresses: Vec<u64> = question.addresses.iter().enumerate().map(calls).collect();
    let found = symbols.symbolize(&Source::Process(process), Input::AbsAddr(&addresses));
    let found = found.unwrap_or_default();
    let mapped = |frame: &&Symbolized<'_>| !matches!(frame, Symbolized::Unknown(Reason::Unmapped));
    let frames = found.iter().take_while(mapped).zip(&question.addresses);
    frames
        .map(|(frame, address)| line(frame, *address))
        .collect()
}

/// `function+0xoffset`, or the address where that has no name.
fn line(frame: &Symbolized<'_>, address: u64) -> String {
    let Symbolized::Sym(symbol) = frame else {
        return format!("{address:#x}\n");
    };
    let mut name: String = symbol.name.chars().take(NAME).collect();
    if name.len() < symbol.name.len() {
        name.push('…');
    }
    format!("{name}+{:#x}\n", symbol.offset)
}

/// The STACK record: its struct, the text, and padding.
fn record(stack: u32, text: &str) -> Vec<u8> {
    let len = (size_of::<ts_stack>() + text.len()).next_multiple_of(8);
    let mut fixed = ts_stack {
        head: head::<ts_stack>(TS_KIND_STACK, clock::now().0),
        stack,
        text_len: text.len() as u16,
        pad: 0,
    };
    fixed.head.len = len as u16;
    let mut record = fixed.as_bytes().to_vec();
    record.extend_from_slice(text.as_bytes());
    record.resize(len, 0);
    record
}
