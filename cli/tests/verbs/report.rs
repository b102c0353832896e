//! The HTML report through the verb, from traces in a file and in a run folder.

use std::fs;

use crate::support::{Scratch, tierscope, traces_of};

/// 300 requests of about a millisecond, and one of 100.
fn sample() -> String {
    let normal = (0..300).map(|n| 1_000_000 + n * 1_000);
    traces_of(normal.chain([100_000_000]))
}

#[test]
fn a_run_folder_gets_a_page_and_pictures_and_keeps_no_older_ones() {
    let scratch = Scratch::new();
    let run = scratch.path("run");
    fs::create_dir_all(format!("{run}/waterfalls")).expect("made");
    scratch.write("run/traces.jsonl", &sample());
    let score = r#"{"settings":{"experiment":{"title":"one <b>slow</b> request"}}}"#;
    scratch.write("run/score.json", score);
    let older = scratch.write("run/waterfalls/finding-07-stall.svg", "<svg/>");
    let kept = scratch.write("run/waterfalls/slow.svg", "<svg/>");
    let said = tierscope(&["report", &run]).with(0).out;
    assert_eq!(said, format!("{run}/report.html\n"));
    let page = fs::read_to_string(format!("{run}/report.html")).expect("a page");
    for part in [
        "One thing was not normal",
        "one &lt;b&gt;slow&lt;/b&gt; request",
        "nothing worked for the request in app for 100.0 ms",
        "default-src 'none'",
    ] {
        assert!(page.contains(part), "no {part:?}");
    }
    for name in [
        "finding-01-asleep",
        "finding-01-asleep-compared",
        "endpoint-01-get-x",
    ] {
        let file = format!("{run}/waterfalls/{name}.svg");
        let picture = fs::read_to_string(&file).expect(&file);
        roxmltree::Document::parse(&picture).expect("well-formed");
    }
    assert!(fs::metadata(older).is_err(), "of an earlier report");
    assert!(fs::metadata(kept).is_ok(), "the run's own");
}

#[test]
fn a_file_of_traces_gets_a_page_beside_it_or_where_it_is_wanted() {
    let scratch = Scratch::new();
    let run = scratch.write("run.jsonl", &sample());
    let beside = scratch.path("run.html");
    assert_eq!(
        tierscope(&["report", &run]).with(0).out,
        format!("{beside}\n")
    );
    let out = scratch.path("other.html");
    tierscope(&["report", &run, "--out", &out, "--baseline", &run]).with(0);
    let [first, second] = [beside, out].map(|file| fs::read_to_string(file).expect("a page"));
    assert!(first.contains("what most requests of the run itself did"));
    assert!(second.contains(&format!("Judged by {run}")));
    let said = tierscope(&["report", &scratch.path("nothing")]).with(1).err;
    assert!(said.contains("nothing"), "{said}");
}
