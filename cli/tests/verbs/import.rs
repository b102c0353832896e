//! Traces of other tools, through the verbs.

use crate::support::{Scratch, json, tierscope};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../interchange/tests/data");

#[test]
fn what_is_imported_is_shown_and_exported_again() {
    let scratch = Scratch::new();
    let (sample, out) = (
        format!("{SAMPLES}/zipkin-skew.json"),
        scratch.path("skew.jsonl"),
    );
    let said = tierscope(&["import", &sample, "--out", &out]).with(0).out;
    assert!(
        said.contains("1 traces, 4 spans") && said.contains("shared id: 1"),
        "{said}"
    );
    let tree = tierscope(&["show", &out]).with(0).out;
    assert!(
        tree.contains("get (99.4 ms)") && tree.contains("shared id, clock skew"),
        "{tree}"
    );
    assert!(tree.contains("starts 65.4 ms before its parent"), "{tree}");
    let svg = scratch.path("skew.svg");
    tierscope(&["show", &out, "--svg", &svg]).with(0);
    for format in ["jaeger", "zipkin", "otlp"] {
        let file = scratch.path(format);
        tierscope(&["export", &out, "--format", format, "--out", &file]).with(0);
        let again = scratch.path("again.jsonl");
        let counts = tierscope(&["import", &file, "--out", &again, "--json"])
            .with(0)
            .out;
        assert_eq!(json(&counts)["spans"], 4, "{format}");
        assert_eq!(tierscope(&["show", &again]).with(0).out, tree, "{format}");
    }
}

#[test]
fn what_cannot_be_read_is_said_with_file_and_place() {
    let scratch = Scratch::new();
    let bad = scratch.write("bad.json", "{\"data\": [\n{\"spans\": 5}]}");
    let said = tierscope(&["import", &bad]).with(1).err;
    assert!(
        said.contains("bad.json: line 2, column 11: invalid type"),
        "{said}"
    );
    let none = scratch.write("none.json", "{\"data\": []}");
    assert!(
        tierscope(&["import", &none])
            .with(1)
            .err
            .contains("no spans in it")
    );
    tierscope(&["import"]).with(2);
}
