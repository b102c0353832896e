//! The default mix's weights, determinism, and what a bad mix says.

use std::collections::BTreeMap;

use super::*;

const GOOD: &str = r#"
[[endpoint]]
name = "a"
weight = 1
method = "GET"
path = "/a"
"#;

fn error(toml: &str) -> String {
    Mix::from_toml(toml).unwrap_err().to_string()
}

#[test]
fn same_seed_same_sequence() {
    let draw = |seed| -> Vec<_> {
        let mix = Mix::default();
        (0..500).map(|n| mix.request(seed, n)).collect()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn the_default_mix_has_the_promised_weights() {
    let mix = Mix::default();
    let mut counts = BTreeMap::<_, i64>::new();
    for n in 0..100_000 {
        *counts.entry(mix.request(1, n).endpoint).or_default() += 1;
    }
    let promised = [
        ("users", 30_000),
        ("user", 25_000),
        ("orders", 15_000),
        ("order", 10_000),
        ("search", 10_000),
        ("report", 5_000),
        ("health", 5_000),
    ];
    assert_eq!(counts.len(), promised.len());
    for (name, count) in promised {
        // Five standard deviations of the largest are 725.
        assert!(
            (counts[name] - count).abs() < 725,
            "{name}: {}",
            counts[name]
        );
    }
}

#[test]
fn a_share_of_one_endpoint_is_faulty() {
    let toml = format!("{GOOD}fault = \"db_ms=200\"\nfault_share = 0.02\n");
    let mix = Mix::from_toml(&toml).unwrap();
    let faulty = (0..50_000)
        .filter(|n| mix.request(3, *n).fault.is_some())
        .count();
    assert!((850..1150).contains(&faulty), "{faulty}");
    let healthy = Mix::from_toml(&toml.replace("0.02", "0")).unwrap();
    assert!((0..1000).all(|n| healthy.request(3, n).fault.is_none()));
    let always = Mix::from_toml(&toml.replace("fault_share = 0.02", "")).unwrap();
    assert!((0..1000).all(|n| always.request(3, n).fault.is_some()));
}

#[test]
fn requests_are_whole_http_messages() {
    let mix = Mix::from_toml(&format!(
        "{}body = '{{\"x\": {{x:7..7}}}}'\nfault = \"cpu_ms=1\"",
        GOOD.replace("\"GET\"", "\"POST\"").replace("/a", "/a?b=c")
    ));
    let request = mix.unwrap().request(1, 0);
    let mut wire = b"left over".to_vec();
    request.encode("lab", &mut wire);
    assert_eq!(request.path(), "/a");
    assert_eq!(
        String::from_utf8(wire).unwrap(),
        "POST /a?b=c HTTP/1.1\r\nHost: lab\r\nUser-Agent: tierscope-loadgen\r\nAccept: */*\r\n\
         X-Lab-Fault: cpu_ms=1\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"x\": 7}"
    );
}

#[test]
fn errors_name_line_and_field() {
    for (from, to, line, field) in [
        (
            "weight = 1",
            "weight = 0",
            "line 4",
            "weight: expected a number above 0",
        ),
        ("weight = 1", "weight = \"1\"", "line 4", "expected f64"),
        (
            "weight = 1",
            "wieght = 1",
            "line 4",
            "unknown field `wieght`",
        ),
        (
            "\"GET\"",
            "\"HEAD\"",
            "line 5",
            "method: expected one of GET",
        ),
        ("\"/a\"", "\"a\"", "line 6", "path: expected /"),
        ("\"/a\"", "\"/a b\"", "line 6", "path: expected /"),
        ("\"/a\"", "\"/{id}\"", "line 6", "placeholder `{id}`"),
        ("\"/a\"", "\"/{id:1\"", "line 6", "no closing brace"),
        (
            "path",
            "fault = \"a\\nb\"\npath",
            "line 6",
            "fault: expected printable",
        ),
        (
            "path",
            "fault = \"x\"\nfault_share = 2\npath",
            "line 7",
            "fault_share: expected 0 to 1",
        ),
        ("name = \"a\"\n", "", "line 2", "missing field `name`"),
        (
            "[[endpoint]]",
            "words = [\"a b\"]\n[[endpoint]]",
            "line 2",
            "word \"a b\"",
        ),
        ("[[endpoint]]", "[[endpoint", "line 2", ""),
    ] {
        let message = error(&GOOD.replacen(from, to, 1));
        assert!(message.contains(line), "{line} not in: {message}");
        assert!(message.contains(field), "{field} not in: {message}");
    }
}

#[test]
fn fields_that_do_not_fit_name_their_endpoint() {
    let words = GOOD.replace("/a", "/{word}");
    assert!(error(&words).starts_with("mix, line 2: endpoint `a`: uses {word}"));
    let share = format!("{GOOD}fault_share = 0.5\n");
    assert!(error(&share).starts_with("mix, line 2: endpoint `a`: has `fault_share`"));
    let twice = format!("{GOOD}{GOOD}");
    assert!(error(&twice).starts_with("mix, line 8: endpoint `a`: has the name"));
    assert_eq!(error(""), "mix: no [[endpoint]]: nothing to send");
}

#[test]
fn a_mix_that_only_reads_sends_nothing_else() {
    let mix = Mix::default().read_only().unwrap();
    assert!((0..5_000).all(|n| &*mix.request(1, n).method == "GET"));
    assert_eq!(mix.names().count(), Mix::default().names().count() - 1);
    let writes = GOOD.replace("GET", "POST");
    let nothing = Mix::from_toml(&writes).unwrap().read_only();
    assert!(matches!(nothing, Err(MixError::Empty)));
}
