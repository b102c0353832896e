//! One trace, measured: its critical path by place and by cause, its calls, its I/O, its shape.

use tierscope_model::{Nanos, Span, SpanKind, Timestamp, Trace, attr};

use crate::cause::CauseKind;
use crate::names::{CauseId, CauseKey, NameId, Names, Place, PlaceId};
use crate::role::Role;
use crate::segment::{Cutter, Segment, State};
use crate::tree::Tree;

/// A piece of the decomposition: where in the tree, what went on there, and what it is put down to.
pub(crate) type Key = (PlaceId, State, CauseId);

/// Places of calls, each with about how many.
pub(crate) type Shape = Vec<(PlaceId, u64)>;

/// A call whose repeats are counted: a query, or a file operation of the application.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) span: usize,
    pub(crate) place: PlaceId,
    pub(crate) duration: Nanos,
    /// On the critical path, in it and all that is under it.
    pub(crate) critical: Nanos,
}

/// What a request did with files and disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Io {
    pub(crate) operations: u64,
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    pub(crate) blocks: u64,
}

/// A segment with its cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) segment: Segment,
    pub(crate) cause: CauseId,
    /// The call that it is in, by its place in `calls`.
    pub(crate) call: Option<usize>,
}

/// A trace as numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    pub(crate) start: Timestamp,
    pub(crate) duration: Nanos,
    pub(crate) pieces: Vec<Piece>,
    /// Sums by key, and by cause; each key once, sorted.
    pub(crate) keys: Vec<(Key, Nanos)>,
    pub(crate) causes: Vec<(CauseId, Nanos)>,
    /// Its queries and file operations.
    pub(crate) calls: Vec<Call>,
    /// How many calls at each place; sorted.
    pub(crate) counts: Vec<(PlaceId, u64)>,
    pub(crate) io: Io,
    pub(crate) misses: u64,
    /// Which calls, and about how often: once, twice, up to 4, 8, 16 … times.
    pub(crate) shape: Shape,
}

/// Measures a trace; none without a root.
pub(crate) fn profile(trace: &Trace, names: &mut Names) -> Option<Profile> {
    let root = trace.root()?;
    let tree = Tree::of(trace);
    let cutter = Cutter::new(trace, &tree);
    let mut measured = Measured {
        cutter: &cutter,
        tree: &tree,
        places: Vec::with_capacity(tree.len()),
        call_of: Vec::with_capacity(tree.len()),
        profile: Profile {
            start: root.start,
            duration: root.duration(),
            ..Profile::default()
        },
    };
    measured.places(names);
    measured.pieces(names);
    let mut profile = measured.profile;
    profile.sum();
    profile.io = io(trace, &cutter.roles, &tree);
    let events = trace.spans.iter().flat_map(|span| &span.events);
    profile.misses = events.filter(|event| event.name == "cache miss").count() as u64;
    profile.shape = shape(&profile.counts);
    Some(profile)
}

struct Measured<'a> {
    cutter: &'a Cutter<'a>,
    tree: &'a Tree,
    places: Vec<PlaceId>,
    call_of: Vec<Option<usize>>,
    profile: Profile,
}

impl Measured<'_> {
    /// Each span's place, and the call it is in.
    fn places(&mut self, names: &mut Names) {
        let trace = self.cutter.trace;
        for (at, span) in trace.spans.iter().enumerate() {
            let above = self.tree.parent(at).filter(|parent| *parent < at);
            let place = Place {
                parent: above.map(|parent| self.places[parent]),
                name: names.name(&span.name),
                detail: names.name(detail(span)),
            };
            let place = names.place(place);
            self.places.push(place);
            let outer = above.and_then(|parent| self.call_of[parent]);
            let is_call = outer.is_none() && is_call(span, self.cutter.roles[at]);
            if is_call {
                self.profile.calls.push(Call {
                    span: at,
                    place,
                    duration: span.duration(),
                    critical: 0,
                });
            }
            let own = is_call.then(|| self.profile.calls.len() - 1);
            self.call_of.push(own.or(outer));
        }
    }

    /// The segments with their causes.
    fn pieces(&mut self, names: &mut Names) {
        for segment in self.cutter.cut() {
            let call = self.call_of[segment.span];
            if let Some(call) = call {
                self.profile.calls[call].critical += segment.duration();
            }
            let key = self.cause(&segment, call, names);
            let cause = names.cause(key);
            self.profile.pieces.push(Piece {
                segment,
                cause,
                call,
            });
            let key = (self.places[segment.span], segment.state, cause);
            self.profile.keys.push((key, segment.duration()));
        }
    }

    fn cause(&self, segment: &Segment, call: Option<usize>, names: &mut Names) -> CauseKey {
        let span = &self.cutter.trace.spans[segment.span];
        let role = self.cutter.roles[segment.span];
        let kind = kind(role, segment.state, span);
        let (of, back) = match kind {
            kind if kind.is_way() => self.way(segment.span, names),
            CauseKind::Execution => (self.statement(span, call, names), false),
            CauseKind::File => (self.operation(span, call, names), false),
            CauseKind::Pool => (names.name(""), false),
            _ => (names.name(&span.resource.service), false),
        };
        CauseKey { kind, of, back }
    }

    /// The hop that a part of a way, or what lies under it, is of; and whether it is the way back.
    fn way(&self, span: usize, names: &mut Names) -> (NameId, bool) {
        let mut at = Some(span);
        while let Some(index) = at {
            let attributes = &self.cutter.trace.spans[index].attributes;
            if let Some(hop) = attributes.text(attr::HOP) {
                let back = attributes.text(attr::DIRECTION) == Some("response");
                return (names.name(hop), back);
            }
            at = self.tree.parent(index).filter(|parent| *parent < index);
        }
        (
            names.name(&self.cutter.trace.spans[span].resource.service),
            false,
        )
    }

    fn statement(&self, span: &Span, call: Option<usize>, names: &mut Names) -> NameId {
        let call = call.map(|call| self.profile.calls[call].span);
        let called = call.map(|at| detail(&self.cutter.trace.spans[at]));
        names.name(called.unwrap_or_else(|| detail(span)))
    }

    fn operation(&self, span: &Span, call: Option<usize>, names: &mut Names) -> NameId {
        let call = call.map(|call| &self.cutter.trace.spans[self.profile.calls[call].span]);
        names.name(&call.unwrap_or(span).name)
    }
}

impl Profile {
    fn sum(&mut self) {
        merge_equal(&mut self.keys);
        let pieces = self.pieces.iter();
        self.causes = pieces.map(|p| (p.cause, p.segment.duration())).collect();
        merge_equal(&mut self.causes);
        self.counts = self.calls.iter().map(|call| (call.place, 1)).collect();
        merge_equal(&mut self.counts);
    }

    /// Its time of a cause.
    pub(crate) fn of_cause(&self, cause: CauseId) -> Nanos {
        find(&self.causes, &cause)
    }

    /// Its first call at a place.
    pub(crate) fn call_at(&self, place: PlaceId) -> Option<&Call> {
        self.calls.iter().find(|call| call.place == place)
    }

    /// Its number of calls at a place.
    pub(crate) fn count_at(&self, place: PlaceId) -> u64 {
        find(&self.counts, &place)
    }
}

/// The value of a key in a sorted list; 0 where it is not there.
pub(crate) fn find<K: Ord>(list: &[(K, u64)], key: &K) -> u64 {
    let at = list.binary_search_by(|(k, _)| k.cmp(key));
    at.map_or(0, |at| list[at].1)
}

/// Sorts, and adds up what has one key.
fn merge_equal<K: Ord + Copy>(list: &mut Vec<(K, u64)>) {
    list.sort_unstable_by_key(|(key, _)| *key);
    list.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}

fn kind(role: Role, state: State, span: &Span) -> CauseKind {
    match (role, state) {
        (_, State::Hole) => CauseKind::Retransmit,
        (_, State::Dropped) => CauseKind::SendFailure,
        (_, State::Stopped) => CauseKind::Stopped,
        (_, State::Throttled) => CauseKind::Throttled,
        (_, State::Runnable | State::UnreadRunnable) => CauseKind::RunQueue,
        (Role::Queue, _) => CauseKind::Unread,
        (Role::Send, _) => CauseKind::Send,
        (Role::Wire, _) => CauseKind::Wire,
        (Role::Pool, _) => CauseKind::Pool,
        (Role::File, _) => CauseKind::File,
        (Role::Lwlock, State::Lock) => CauseKind::Lwlock,
        (Role::Backend | Role::Lock | Role::Io, State::Lock) => CauseKind::Lock,
        (Role::Proxy, _) => CauseKind::Proxy,
        (_, State::Disk) => CauseKind::Disk,
        (Role::Backend | Role::Lock | Role::Lwlock | Role::Io, _) => CauseKind::Execution,
        (_, State::OnCpu) => CauseKind::Cpu,
        _ if is_exchange(span) => CauseKind::Wire,
        _ => CauseKind::Asleep,
    }
}

/// The caller's side of an exchange with another process: its own time is the other's.
fn is_exchange(span: &Span) -> bool {
    let keys = [attr::DB_EXCHANGE, attr::HTTP_REQUEST_METHOD];
    span.kind == SpanKind::Client && keys.iter().any(|key| span.attributes.get(key).is_some())
}

/// A query as its caller sees it, or the application's file operation.
fn is_call(span: &Span, role: Role) -> bool {
    match span.kind {
        SpanKind::Client => span.attributes.get(attr::DB_SYSTEM_NAME).is_some(),
        _ => role == Role::File,
    }
}

/// What tells a span from others of its name: its statement.
fn detail(span: &Span) -> &str {
    let attributes = &span.attributes;
    let text = attributes.text(attr::DB_QUERY_TEXT);
    let text = text.or_else(|| attributes.text(attr::DB_QUERY_SUMMARY));
    let text = text.or_else(|| attributes.text(attr::DIRECTION));
    text.unwrap_or_default()
}

/// What the application did with files, each kernel call once, or its own operations where no kernel
/// call was seen under them; and what disks did for it and its database.
fn io(trace: &Trace, roles: &[Role], tree: &Tree) -> Io {
    let mut io = Io::default();
    let mut files: Vec<&str> = Vec::new();
    for (at, span) in trace.spans.iter().enumerate() {
        let count = span.attributes.int(attr::COUNT).unwrap_or(1).max(0) as u64;
        if span.name.starts_with("disk ") {
            io.blocks += count;
            continue;
        }
        let path = span.attributes.text(attr::FILE_PATH);
        let Some(path) = path.filter(|_| roles[at] == Role::File) else {
            continue;
        };
        files.push(path);
        let has_path = |child: &usize| {
            trace.spans[*child]
                .attributes
                .get(attr::FILE_PATH)
                .is_some()
        };
        if tree.children(at).iter().any(has_path) {
            continue;
        }
        io.operations += count;
        let bytes = span.attributes.int(attr::BYTES).unwrap_or(0);
        io.bytes += bytes.max(0) as u64;
    }
    files.sort_unstable();
    files.dedup();
    io.files = files.len() as u64;
    io
}

fn shape(counts: &[(PlaceId, u64)]) -> Shape {
    let about = counts
        .iter()
        .map(|(place, n)| (*place, n.next_power_of_two()));
    about.collect()
}
