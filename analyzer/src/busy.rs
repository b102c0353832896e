//! Which requests were on a CPU, so that another one's wait can be put down to them.

use std::collections::BTreeMap;

use tierscope_model::{Doing, Nanos, Span, Timestamp, Trace};

use crate::label::{Label, Labels};

/// Work shorter than this keeps nobody waiting.
const SHORTEST: Nanos = 1_000_000;
/// A pause within the work that is shorter than this does not end it.
const PAUSE: Nanos = 1_000_000;
/// Most stretches of work that are kept; of more, the latest. They are small: a long run has so many.
const LIMIT: usize = 65_536;

/// A stretch of work of one thread for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    end: Timestamp,
    request: Label,
}

/// Stretches of work by process, start and thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy {
    stretches: BTreeMap<(Timestamp, u32, u32), Stretch>,
    longest: Nanos,
}

impl Busy {
    /// Notes when a trace's request kept threads busy.
    pub(crate) fn note(&mut self, trace: &Trace, labels: &mut Labels) {
        for span in &trace.spans {
            self.span(trace, span, labels);
        }
    }

    fn span(&mut self, trace: &Trace, span: &Span, labels: &mut Labels) {
        let mut work: Vec<(u32, Timestamp, Timestamp)> = Vec::new();
        let running = span
            .slices
            .iter()
            .filter(|s| s.doing == Doing::Running && !s.shared);
        for slice in running.filter(|slice| slice.instead.is_none()) {
            let joins = |(tid, _, end): &&mut (u32, Timestamp, Timestamp)| {
                *tid == slice.tid && slice.start.since(*end) < PAUSE
            };
            match work.iter_mut().rev().find(joins) {
                Some(open) => open.2 = slice.end,
                None => work.push((slice.tid, slice.start, slice.end)),
            }
        }
        for (tid, start, end) in work {
            if end.since(start) >= SHORTEST {
                let request = labels.of(trace);
                self.keep((start, span.resource.pid, tid), Stretch { end, request });
            }
        }
    }

    fn keep(&mut self, key: (Timestamp, u32, u32), stretch: Stretch) {
        self.longest = self.longest.max(stretch.end.since(key.0));
        self.stretches.insert(key, stretch);
        if self.stretches.len() > LIMIT {
            self.stretches.pop_first();
        }
    }

    /// Which requests kept threads of a process busy within some time, and for how long; the longest
    /// first. Also how many threads that were.
    pub(crate) fn during(
        &self,
        pid: u32,
        (from, to): (Timestamp, Timestamp),
    ) -> (usize, Vec<(String, Nanos)>) {
        let first = (from - self.longest, 0, 0);
        let mut threads: Vec<u32> = Vec::new();
        let mut requests: BTreeMap<&Label, Nanos> = BTreeMap::new();
        let overlapping = self.stretches.range(first..(to, 0, 0));
        for ((start, _, tid), stretch) in overlapping.filter(|((_, of, _), _)| *of == pid) {
            let nanos = stretch.end.min(to).since((*start).max(from));
            if nanos > 0 {
                *requests.entry(&stretch.request).or_default() += nanos;
                threads.push(*tid);
            }
        }
        threads.sort_unstable();
        threads.dedup();
        let requests = requests.into_iter();
        let mut requests: Vec<_> = requests.map(|(r, nanos)| (r.text(), nanos)).collect();
        requests.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        (threads.len(), requests)
    }
}
