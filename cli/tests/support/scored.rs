//! A recording of a lab in truth mode, held against what its client saw.

use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

use tierscope_assembler::{Assembled, Options};
use tierscope_experiments::{Progress, Result, Score, Scorer, Sink, Truth, assemble, read_lines};
use tierscope_loadgen::Record;
use tierscope_model::{Body, Event, SpanKind, Trace, attr};

/// What became of a recording.
pub struct Scored {
    pub score: Score,
    /// The traces of what the client sent.
    pub traces: Vec<Trace>,
}

struct Judge<'a> {
    scorer: Scorer<'a>,
    traces: Vec<Trace>,
    accepted: HashSet<u64>,
}

impl Sink for Judge<'_> {
    fn event(&mut self, event: &Event) {
        if let Body::Accepted(accepted) = &event.body {
            // A library that several tiers share is one file, whatever paths lead to it.
            let first = self.accepted.insert(accepted.cookie.0);
            assert!(first, "a connection was accepted twice");
        }
    }

    fn made(&mut self, made: Assembled, truth: &Truth) -> Result<()> {
        let (Assembled::Request(trace) | Assembled::Apart(trace)) = made;
        self.scorer.trace(&trace, truth);
        let root = trace.root().map(|root| &*root.resource.service);
        if root == Some("loadgen") && trace.request_id.is_some() {
            self.traces.push(trace);
        }
        Ok(())
    }
}

impl Scored {
    /// Assembles a recording and scores it with the load generator's records.
    pub fn of(recording: &str, client: &str) -> Self {
        let client: Vec<Record> = read_lines(Path::new(client)).expect("records");
        let mut judge = Judge {
            scorer: Scorer::new(&client),
            traces: Vec::new(),
            accepted: HashSet::new(),
        };
        let (path, quiet) = (Path::new(recording), Progress::on_terminal());
        let ending = assemble(path, Options::default(), &quiet, &mut judge).expect("assembled");
        assert!(!judge.accepted.is_empty(), "no connection was accepted");
        Self {
            score: judge.scorer.finish(&ending.counts),
            traces: judge.traces,
        }
    }

    /// Every one of `requests` is complete, and nothing is lost, wrong or left over.
    pub fn is_flawless(&self, requests: u64) -> &Self {
        let score = &self.score;
        println!("{}", serde_json::to_string_pretty(score).expect("JSON"));
        assert_eq!(score.requests, requests);
        assert_eq!(score.complete, requests, "{:?}", score.incomplete_by_reason);
        assert_eq!(score.mis_stitched, 0);
        assert_eq!(score.orphan_spans, 0);
        assert_eq!(score.lost_events, 0);
        assert_eq!(score.conservation_violations, 0);
        assert_eq!(score.negative_durations, 0);
        assert_eq!(score.edges["request"].correct, requests);
        let query = score.edges["query"];
        assert!(query.correct > requests && query.unverified * 100 <= query.correct);
        assert_eq!(self.traces.len() as u64, requests);
        self
    }

    /// Every tier was reached from one other address, and none by loopback.
    pub fn crosses_a_network(&self) {
        let spans = self.traces.iter().flat_map(|trace| &trace.spans);
        let servers = spans.filter(|span| span.kind == SpanKind::Server);
        let peers: BTreeSet<_> = servers
            .filter_map(|span| {
                let peer = span.attributes.text(attr::NETWORK_PEER_ADDRESS)?;
                Some((&*span.resource.service, peer))
            })
            .collect();
        println!("{peers:?}");
        let tiers = peers.iter().map(|(service, _)| *service);
        assert!(tiers.eq(["app", "nginx", "postgres"]), "one peer each");
        assert!(peers.iter().all(|(_, peer)| !peer.starts_with("127.")));
    }
}
