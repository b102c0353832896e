//! Text that came from outside cannot break out of what is shown.

use std::fs;

use crate::support::{Lab, Recording, Scratch, json, may_trace, tierscope};

const TARGETS: [&[u8]; 6] = [
    b"/%1b%5b31mred%1b%5b0m/%0d%0aX-Evil:1",
    b"/\"><script>alert(1)</script><text>&amp;]]>",
    b"/\xff\xfe\x9b31m/\xc2\x9b31m",
    b"/\xe2\x80\xae\xe2\x81\xa6txt.exe",
    b"/api/users/1\\u001b[2J\\\"},{\"",
    b"/%F0%9F%92%A9/'${jndi:ldap://x}'",
];

#[test]
fn hostile_paths_and_ids_stay_text() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let recording = Recording::start(&lab, scratch.path("hostile.tsrec"), &[]);
    let id: &[u8] = b"X-Request-ID: \x9b]0;owned</title><svg onload=alert(1)>";
    let answers = TARGETS.map(|target| lab.get(target, &[id, b"X-Trace-Id: \"'<&>\x9b2J"]));
    let (file, _) = (recording.file.clone(), recording.stop());
    for (answer, target) in answers.iter().zip(TARGETS) {
        assert!(
            answer.status().starts_with('4'),
            "{}",
            target.escape_ascii()
        );
        let id = answer.request_id();
        let show = |option: &[&str]| {
            let arguments = [&["show", &file, "--id", &id], option].concat();
            tierscope(&arguments).with(0).out
        };
        is_plain(&show(&[]));
        is_json(&show(&["--json"]));
        let svg = scratch.path("hostile.svg");
        show(&["--svg", &svg]);
        is_harmless(&fs::read_to_string(svg).expect("a picture"));
    }
    for format in ["jaeger", "zipkin", "otlp"] {
        is_json(
            &tierscope(&["export", &file, "--format", format])
                .with(0)
                .out,
        );
    }
}

/// No character that drives a terminal or turns the direction of text.
#[track_caller]
fn is_plain(text: &str) {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.contains(drives) && !text.contains(turns), "{text:?}");
}

/// JSON that drives no terminal; what is data in it stays what it was.
#[track_caller]
fn is_json(text: &str) {
    assert!(!text.contains(drives), "{text:?}");
    json(text);
}

fn drives(c: char) -> bool {
    c.is_control() && c != '\n'
}

#[track_caller]
fn is_harmless(svg: &str) {
    is_plain(svg);
    let picture = roxmltree::Document::parse(svg).expect(svg);
    for element in picture.descendants().filter(roxmltree::Node::is_element) {
        let name = element.tag_name().name();
        let nested = name == "svg" && element != picture.root_element();
        assert!(
            !nested && !["script", "foreignObject", "a"].contains(&name),
            "{svg}"
        );
        let acts = |a: &roxmltree::Attribute| a.name().starts_with("on") || a.name() == "href";
        assert!(!element.attributes().any(|a| acts(&a)), "{svg}");
    }
}
