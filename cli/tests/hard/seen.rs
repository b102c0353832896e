//! What a recording tells, and what must be true of it.

use std::{collections::HashSet, path::Path};

use tierscope_assembler::{Assembled, Counts, Options};
use tierscope_experiments::{Progress, Verdicts, assemble};
use tierscope_model::{Incomplete, RequestId, Span, SpanKind, Trace, attr};

use crate::support::Answer;

/// A request that was answered, as its client knows it.
#[derive(Debug)]
pub struct Asked {
    pub id: RequestId,
    pub status: i64,
    method: String,
    path: String,
    /// Statements that the app says it sent.
    queries: usize,
}

impl Asked {
    pub fn new(method: &str, path: &str, answer: &Answer) -> Self {
        let queries = answer.0.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let ours = name.eq_ignore_ascii_case("X-Lab-Queries");
            ours.then(|| value.parse().expect("a count"))
        });
        Self {
            id: answer.request_id().parse().expect("an id"),
            status: answer.status().parse().expect("a status"),
            method: method.to_owned(),
            path: path.split('?').next().expect("a path").to_owned(),
            queries: queries.unwrap_or(0),
        }
    }
}

/// A recording, assembled, with the verdicts on its queries by the ids bound to them.
pub struct Seen {
    pub traces: Vec<Trace>,
    pub apart: Vec<Trace>,
    pub counts: Counts,
    pub verdicts: Verdicts,
}

impl Seen {
    pub fn of(recording: &str) -> Self {
        let (mut traces, mut apart) = (Vec::new(), Vec::new());
        let mut verdicts = Verdicts::default();
        let mut sink = |made, truth: &tierscope_experiments::Truth| {
            let (list, trace) = match made {
                Assembled::Request(trace) => (&mut traces, trace),
                Assembled::Apart(trace) => (&mut apart, trace),
            };
            truth.judge(&trace, &mut verdicts);
            list.push(trace);
            Ok(())
        };
        let options = Options::default();
        let ending = assemble(
            Path::new(recording),
            options,
            &Progress::on_terminal(),
            &mut sink,
        );
        let counts = ending.expect("assembled").counts;
        Self {
            traces,
            apart,
            counts,
            verdicts,
        }
    }

    /// What holds whatever happened: nothing wrong joined, all parts sum, every parent is there.
    #[track_caller]
    pub fn sound(&self) -> &Self {
        assert_eq!(self.verdicts.mis_stitched, 0, "{:?}", self.verdicts);
        assert_eq!(self.counts.conservation_violations, 0);
        assert_eq!(self.counts.negative_durations, 0);
        for trace in self.traces.iter().chain(&self.apart) {
            let ids: HashSet<_> = trace.spans.iter().map(|span| span.span_id).collect();
            assert_eq!(ids.len(), trace.spans.len(), "a span twice: {trace:#?}");
            let mut parents = trace.spans.iter().filter_map(Span::parent_id);
            assert!(parents.all(|id| ids.contains(&id)), "{trace:#?}");
        }
        self
    }

    /// Nothing that belongs to a request was joined to none, and nothing was lost.
    #[track_caller]
    pub fn without_orphans(&self) -> &Self {
        let orphans = self.traces.iter().flat_map(Trace::orphans);
        let orphans: Vec<_> = orphans.map(|span| (&span.name, &span.attributes)).collect();
        assert_eq!(orphans, []);
        let apart = self.apart.iter().filter(|trace| is_orphan(trace));
        let apart: Vec<_> = apart.map(|trace| &trace.spans[0]).collect();
        assert_eq!(apart, [] as [&Span; 0]);
        assert_eq!(self.counts.lost_events, 0);
        self
    }

    /// The only trace of a request.
    #[track_caller]
    pub fn trace(&self, id: RequestId) -> &Trace {
        let mut found = self.traces.iter().filter(|t| t.request_id == Some(id));
        let trace = found.next().expect("a trace");
        assert!(found.next().is_none(), "two traces of {id}");
        trace
    }

    /// The only trace of a request, which has all its tiers and every query, and says that it is of
    /// this request.
    #[track_caller]
    pub fn whole(&self, asked: &Asked) -> &Trace {
        let trace = self.trace(asked.id);
        assert_eq!(trace.incomplete, [], "{}", sketch(trace));
        tiers(trace, asked);
        trace
    }

    /// The same of a request that did not come to its end as it should: it says why.
    #[track_caller]
    pub fn marked(&self, id: RequestId, reason: Incomplete) -> &Trace {
        let trace = self.trace(id);
        assert!(trace.incomplete.contains(&reason), "{}", sketch(trace));
        trace
    }
}

fn is_orphan(trace: &Trace) -> bool {
    trace.incomplete.contains(&Incomplete::Orphan)
}

/// From the client to the handler and to the last query, each under its caller.
#[track_caller]
fn tiers(trace: &Trace, asked: &Asked) {
    let root = &trace.spans[0];
    let client = below(trace, None, SpanKind::Client, "client");
    assert_eq!(client.span_id, root.span_id);
    let proxy = below(trace, Some(client), SpanKind::Server, "nginx");
    let upstream = below(trace, Some(proxy), SpanKind::Client, "nginx");
    let app = below(trace, Some(upstream), SpanKind::Server, "app");
    for span in [client, proxy, upstream, app, handler(trace)] {
        let text = |key| span.attributes.text(key);
        assert_eq!(text(attr::HTTP_REQUEST_METHOD), Some(&*asked.method));
        assert_eq!(text(attr::URL_PATH), Some(&*asked.path));
    }
    let status = root.attributes.int(attr::HTTP_RESPONSE_STATUS_CODE);
    assert_eq!(status, Some(asked.status));
    assert_eq!(handler(trace).parent_id(), Some(app.span_id));
    let queries = queries(trace);
    assert_eq!(queries.len(), asked.queries, "{}", sketch(trace));
    for query in queries {
        assert!(ran(trace, query), "no backend ran {query:#?}");
    }
}

/// The only span of a kind and service below another (or at the top).
#[track_caller]
fn below<'a>(trace: &'a Trace, parent: Option<&Span>, kind: SpanKind, service: &str) -> &'a Span {
    let parent = parent.map(|span| span.span_id);
    let fits =
        |s: &&Span| s.parent_id() == parent && s.kind == kind && s.resource.service == service;
    let mut found = trace.spans.iter().filter(fits);
    let first = found.next();
    let only = found.next().is_none();
    first.filter(|_| only).unwrap_or_else(|| {
        panic!("no or many {kind:?} of {service}: {}", sketch(trace));
    })
}

/// The handler's span, of which there is one.
#[track_caller]
pub fn handler(trace: &Trace) -> &Span {
    let mut found = named(trace, "handler");
    assert_eq!(found.len(), 1, "{}", sketch(trace));
    found.remove(0)
}

/// The app's queries.
pub fn queries(trace: &Trace) -> Vec<&Span> {
    named(trace, "db query")
}

pub fn named<'a>(trace: &'a Trace, name: &str) -> Vec<&'a Span> {
    trace
        .spans
        .iter()
        .filter(|span| span.name == name)
        .collect()
}

/// Whether a backend's span lies under an exchange of the query.
pub fn ran(trace: &Trace, query: &Span) -> bool {
    let exchanges = trace.children(query.span_id);
    exchanges
        .flat_map(|exchange| trace.children(exchange.span_id))
        .any(|span| span.kind == SpanKind::Server && span.resource.service == "postgres")
}

/// The tiers of a trace in a few lines, for a test that fails.
pub fn sketch(trace: &Trace) -> String {
    let Some(root) = trace.root() else {
        return "an empty trace".to_owned();
    };
    let mut text = format!("{} {:?}\n", trace.endpoint, trace.incomplete);
    let depth = |span: &Span| {
        let above = |span: &Span| {
            let parent = span.parent_id()?;
            trace.spans.iter().find(|other| other.span_id == parent)
        };
        std::iter::successors(above(span), |span| above(span)).count()
    };
    let tiers = |s: &&Span| {
        s.kind != SpanKind::Internal
            || s.parent.is_none()
            || s.name == "handler"
            || s.name == "db pool wait"
    };
    for span in trace.spans.iter().filter(tiers) {
        let from = span.start.0 as i64 - root.start.0 as i64;
        let (service, name) = (&span.resource.service, &span.name);
        let indent = 2 * depth(span);
        text += &format!(
            "{from:>11} +{:>10} {:indent$}{:?} {service}: {name} {:?}\n",
            span.duration(),
            "",
            span.kind,
            span.status,
        );
    }
    text
}
