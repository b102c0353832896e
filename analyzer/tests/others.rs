//! Traces made by others, whose critical paths and self times are known.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tierscope_analyzer::{Baseline, Judge, Overlap, Tree, Verdict};
use tierscope_interchange::Importer;
use tierscope_model::{Span, Trace, attr};

fn data(path: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).expect(&path)
}

fn json(path: &str) -> Json {
    serde_json::from_slice(&data(path)).expect(path)
}

fn import(file: &[u8]) -> Vec<Trace> {
    let mut importer = Importer::default();
    importer.add(file).expect("it is read");
    importer.finish().traces
}

fn one(file: &[u8]) -> Trace {
    let mut traces = import(file);
    assert_eq!(traces.len(), 1);
    traces.remove(0)
}

/// Node, start and end of each step in microseconds, the last first; nodes by the ids they came with.
fn sections(trace: &Trace) -> Vec<(String, u64, u64)> {
    let path = Tree::of(trace).critical_path(0, Overlap::Parallel);
    let steps = path.steps.iter().rev();
    let section = |step: &tierscope_analyzer::Step| {
        let span = &trace.spans[step.node];
        let came = span.attributes.text(attr::IMPORT_ID).map(str::to_owned);
        let id = came.unwrap_or_else(|| span.span_id.to_string());
        (id, step.start.0 / 1_000, step.end.0 / 1_000)
    };
    steps.map(section).collect()
}

#[test]
fn jaegers_critical_paths_are_exactly_these() {
    for name in ["test1", "test2", "test3", "test4", "test5"] {
        let file = json(&format!("jaeger/{name}.json"));
        let trace = one(file["trace"].to_string().as_bytes());
        let expected = file["expected_sections"].as_array().expect("sections");
        let expected: Vec<_> = expected
            .iter()
            .map(|section| {
                let at = |key: &str| section[key].as_u64().expect("a number");
                let id = section["spanID"].as_str().expect("an id").to_owned();
                (id, at("sectionStart"), at("sectionEnd"))
            })
            .collect();
        assert_eq!(sections(&trace), expected, "{name}");
    }
}

/// Microseconds on the critical path by `[service] operation`.
fn by_operation(trace: &Trace, overlap: Overlap) -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for step in Tree::of(trace).critical_path(0, overlap).steps {
        let span = &trace.spans[step.node];
        let operation = format!("[{}] {}", span.resource.service, span.name);
        *times.entry(operation).or_default() += step.end.since(step.start) / 1_000;
    }
    times
}

#[test]
fn crisps_samples_agree_with_the_rule_for_small_overlaps() {
    let mut plain = 0;
    for number in 1..=12 {
        let name = format!("crisp/{number}.json");
        let (file, trace) = (json(&name), one(&data(&name)));
        let testing = &file["testing"];
        let known = [&testing[0], &testing["opTimeExclusive"]]
            .into_iter()
            .find(|k| k.is_object());
        let expected: BTreeMap<String, u64> = known
            .and_then(Json::as_object)
            .expect("what is known")
            .iter()
            .map(|(operation, time)| (operation.clone(), time.as_u64().expect("a time")))
            .filter(|(_, time)| *time > 0)
            .collect();
        assert_eq!(
            by_operation(&trace, Overlap::UnderOnePercent),
            expected,
            "{name}"
        );
        plain += u32::from(by_operation(&trace, Overlap::Parallel) == expected);
    }
    assert_eq!(plain, 11, "one of them needs the rule");
}

#[test]
fn hotel_traces_are_as_long_as_their_critical_paths() {
    let traces = import(&data("hotel.json"));
    assert_eq!(traces.len(), 120);
    let mut skewed = 0;
    for trace in &traces {
        assert_eq!((trace.spans.len(), trace.orphans().count()), (11, 0));
        for overlap in [Overlap::Parallel, Overlap::UnderOnePercent] {
            let path = Tree::of(trace).critical_path(0, overlap);
            assert_eq!(path.duration(), trace.duration(), "{}", trace.trace_id);
            skewed += usize::from(!path.overlapping.is_empty());
        }
    }
    assert_eq!(skewed, 0, "their clocks agree");
}

/// Judges one half by a baseline of the other, which is told several times.
fn judged(known: &[Trace], times: usize, others: &[Trace]) -> [usize; 3] {
    let mut baseline = Baseline::new();
    for trace in known.iter().cycle().take(known.len() * times) {
        baseline.learn(trace);
    }
    let mut judge = Judge::new(baseline);
    let verdicts: Vec<Verdict> = others.iter().map(|trace| judge.judge(trace)).collect();
    let count = |wanted: fn(&Verdict) -> bool| verdicts.iter().filter(|v| wanted(v)).count();
    [
        count(|verdict| matches!(verdict, Verdict::Normal)),
        count(|verdict| matches!(verdict, Verdict::Flagged(_))),
        count(|verdict| matches!(verdict, Verdict::TooSmall)),
    ]
}

#[test]
fn hotel_traces_are_normal_by_each_others_measure() {
    let traces = import(&data("hotel.json"));
    let (first, second) = traces.split_at(60);
    assert_eq!(judged(first, 1, second), [0, 0, 60], "60 are no baseline");
    // Told four times they are one of the same quantiles.
    let mut flagged = 0;
    for (known, others) in [(first, second), (second, first)] {
        let [normal, found, _] = judged(known, 4, others);
        assert_eq!(normal + found, 60, "each has a verdict");
        flagged += found;
    }
    assert!(
        flagged * 1_000 <= 15 * 120,
        "{flagged} of 120 normal traces flagged"
    );
}

/// Self time of all spans that are meant, in hundredths of a millisecond, rounded.
fn self_time(trace: &Trace, meant: impl Fn(&Span) -> bool) -> u64 {
    let tree = Tree::of(trace);
    let spans = trace
        .spans
        .iter()
        .enumerate()
        .filter(|(_, span)| meant(span));
    let nanos: u64 = spans.map(|(at, _)| tree.self_time(at)).sum();
    (nanos + 5_000) / 10_000
}

#[test]
fn self_times_are_jaegers() {
    let cases = [
        (
            "spanLongerAsParent",
            "jaeger-long-span",
            "api-gateway",
            "GET /owners/8/pets/10",
        ),
        (
            "traceWithTwoNonOverlappingChildren",
            "jaeger-two",
            "service-one",
            "send",
        ),
        (
            "traceWithOverlappingChildren",
            "jaeger-overlapping",
            "service-one",
            "send",
        ),
        (
            "traceWithThreeShortChildren",
            "jaeger-three-short",
            "service-one",
            "send",
        ),
    ];
    let known = json("jaeger/self_time.json");
    for (case, file, service, operation) in cases {
        let known = known["cases"].as_array().expect("cases").iter();
        let case = known
            .into_iter()
            .find(|known| {
                known["file"]
                    .as_str()
                    .is_some_and(|name| name.contains(case))
            })
            .expect(case);
        let expected = (case["self_total"].as_f64().expect("ms") * 100.0).round() as u64;
        let trace = one(&data(&format!(
            "../../../interchange/tests/data/{file}.json"
        )));
        let meant = |span: &Span| span.resource.service == service && span.name == operation;
        assert_eq!(self_time(&trace, meant), expected, "{file}");
    }
}
