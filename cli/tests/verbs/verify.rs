//! Faults of known size, injected, found and scored by the verb; large ones, for the host may be busy.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{Scratch, json, may_trace, tierscope};

const EXPERIMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../experiments/quick");

#[test]
fn known_faults_are_found_and_rightly_named() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    for name in [
        "nothing.toml",
        "pool-exhausted.toml",
        "slow-query-and-lock.toml",
    ] {
        let text = fs::read_to_string(Path::new(EXPERIMENTS).join(name)).expect("shipped");
        scratch.write(name, &text);
    }
    scratch.write(
        "refused.toml",
        "name = 'x'\ntitle = 'x'\n[load]\nrate = 10\nduration_s = 1\nconnections = 1\nseed = 1\n\
         [[window]]\nstarts_s = [0]\nfor_ms = 1\nhop = 'x'\ncause = ['slow query']\n\
         [window.inject]\nkind = 'missing-index'\nindex = 'no_such_index'\n",
    );
    let said = tierscope(&[
        "verify",
        &scratch.path(""),
        "--json",
        "--runs",
        &scratch.path("runs"),
    ]);
    let all = json(&said.out);
    let rows = all["experiments"].as_array().expect("rows");
    let names: Vec<&Value> = rows.iter().map(|row| &row["name"]).collect();
    assert_eq!(
        names,
        [
            "quick-nothing",
            "quick-pool-exhausted",
            "quick-slow-query-and-lock",
            "x"
        ],
        "{all}"
    );

    let nothing = &rows[0]["outcome"]["scored"];
    assert_eq!(nothing["baseline"], "itself");
    assert_eq!(nothing["faults"], json("[]"));
    assert!(nothing["normal"].as_u64() > Some(3500), "{nothing}");

    assert_found(&rows[1], &["pool-held, app"]);
    assert_found(
        &rows[2],
        &["db_ms=300 of search", "lock-wait, app → postgres"],
    );
    assert_eq!(promise(&all, "recall")["kept"], true, "{all}");
    assert_eq!(promise(&all, "N+1 alarms")["kept"], true, "{all}");

    let failed = rows[3]["outcome"]["failed"].as_str().expect("a reason");
    assert!(failed.contains("no_such_index"), "{failed}");
    assert_eq!(promise(&all, "run")["kept"], false);
    said.with(1);
}

/// These faults, each in nine of ten of the requests that it affected, and at its price.
#[track_caller]
fn assert_found(row: &Value, expected: &[&str]) {
    let faults = row["outcome"]["scored"]["faults"].as_array();
    let faults = faults.expect("faults");
    let names: Vec<&Value> = faults.iter().map(|fault| &fault["fault"]).collect();
    assert_eq!(names, expected);
    for fault in faults {
        let count = |name: &str| fault[name].as_u64().expect(name);
        let affected = count("affected");
        assert!(affected >= 10, "{fault}");
        for right in ["found", "named", "first"] {
            assert!(10 * count(right) >= 9 * affected, "{right}: {fault}");
        }
        let off = fault["magnitude"]["p50"].as_f64();
        assert!(off.is_some_and(|off| off < 0.1), "{fault}");
    }
}

fn promise<'a>(all: &'a Value, name: &str) -> &'a Value {
    let promises = all["promises"].as_array().expect("promises");
    let mut promises = promises.iter();
    promises
        .find(|promise| promise["name"] == name)
        .expect(name)
}
