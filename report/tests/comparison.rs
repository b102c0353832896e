//! Two traces side by side: text and picture against golden files, hostile text, and a rasteriser.

mod common;

use std::sync::Arc;

use common::{broken, golden, health, hostile, n_plus_one, slow};
use resvg::{tiny_skia, usvg};
use roxmltree::Document;
use tierscope_analyzer::{Comparison, Usual, compare};
use tierscope_model::Trace;
use tierscope_report::{Sides, TreeOptions, render_comparison, render_comparison_svg, sentence};

fn sides() -> Sides {
    Sides {
        a: "median of 4812 in runs/one".to_owned(),
        b: "request 9c1f".to_owned(),
    }
}

fn text(comparison: &Comparison<'_>, width: usize) -> String {
    let options = TreeOptions {
        color: false,
        width,
        unicode: true,
    };
    render_comparison(comparison, &sides(), &options)
}

fn samples() -> [(&'static str, Trace, Trace); 5] {
    [
        ("calls", n_plus_one(2), n_plus_one(15)),
        ("other", health(), slow()),
        ("broken", slow(), broken()),
        ("hostile", hostile(), hostile()),
        ("same", slow(), slow()),
    ]
}

#[test]
fn texts_and_pictures_are_as_blessed() {
    for (name, a, b) in samples() {
        let comparison = compare(&a, &b, None);
        if ["calls", "other"].contains(&name) {
            golden(&format!("compare_{name}.txt"), &text(&comparison, 120));
        }
        if name == "calls" {
            let svg = render_comparison_svg(&comparison, &sides());
            golden("compare_calls.svg", &svg);
        }
    }
}

#[test]
fn the_sentence_names_what_differs() {
    let (few, many) = (n_plus_one(2), n_plus_one(15));
    let more = sentence(&compare(&few, &many, None));
    assert!(more.contains("15 instead of 2 × db query"), "{more}");
    let fewer = sentence(&compare(&many, &few, None));
    assert!(
        fewer.contains("2 instead of 15 × db query") && fewer.contains("−"),
        "{fewer}"
    );
    let same = sentence(&compare(&many, &many, None));
    assert!(same.starts_with("Both took about as long"), "{same}");
}

#[test]
fn a_difference_that_is_usual_is_still_told() {
    let (few, many) = (n_plus_one(2), n_plus_one(15));
    let mut usual = Usual::default();
    for _ in 0..20 {
        usual.learn(&few);
        usual.learn(&many);
    }
    let said = sentence(&compare(&few, &many, Some(&usual)));
    assert!(said.starts_with("17.4 ms instead of 4.40 ms"), "{said}");
    assert!(
        said.contains("app itself (170 µs → 3.00 ms), which is as usual"),
        "{said}"
    );
}

#[test]
fn a_way_of_bytes_has_a_range_of_its_own() {
    let (few, many) = (n_plus_one(2), n_plus_one(15));
    let mut usual = Usual::default();
    (0..20).for_each(|_| usual.learn(&few));
    let text = text(&compare(&few, &many, Some(&usual)), 160);
    let normal = |name: &str| {
        let row = text.lines().find(|line| line.contains(name)).expect(name);
        row.rsplit("  ").next().expect("columns").trim()
    };
    let way = normal("network loadgen → nginx");
    assert!(["110 µs", "111 µs"].contains(&way), "60 + 50: {text}");
    assert_eq!(normal("└─ GET /api/users/{id}/orders"), "none", "{text}");
    assert!(!text.contains('–'), "all is known: {text}");
}

#[test]
fn hostile_text_stays_text() {
    let (a, b) = (slow(), hostile());
    let comparison = compare(&a, &b, None);
    let (text, svg) = (
        text(&comparison, 160),
        render_comparison_svg(&comparison, &sides()),
    );
    let odd = |c: &char| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c);
    assert_eq!(text.chars().chain(svg.chars()).find(odd), None);
    let document = Document::parse(&svg).expect("well-formed");
    let tags = ["svg", "rect", "title", "text", "g", "line"];
    for node in document.descendants().filter(|n| n.is_element()) {
        assert!(
            tags.contains(&node.tag_name().name()),
            "{:?}",
            node.tag_name()
        );
    }
}

#[test]
fn lines_fit_the_terminal() {
    for (name, a, b) in samples() {
        let comparison = compare(&a, &b, None);
        for width in [80, 100, 160] {
            let text = text(&comparison, width);
            let table = text
                .lines()
                .skip_while(|line| !line.contains("share"))
                .skip(1);
            for line in table.take_while(|line| !line.starts_with("total")) {
                assert!(line.chars().count() <= width, "{name} at {width}: {line}");
            }
        }
    }
}

#[test]
fn labels_do_not_overlap_and_stay_in_the_picture() {
    let mut options = usvg::Options::default();
    Arc::make_mut(&mut options.fontdb).load_system_fonts();
    for (name, a, b) in samples() {
        let svg = render_comparison_svg(&compare(&a, &b, None), &sides());
        let tree = usvg::Tree::from_str(&svg, &options).expect(name);
        let mut boxes = Vec::new();
        texts(tree.root(), &mut boxes);
        for (index, a) in boxes.iter().enumerate() {
            assert!(a.left() >= 0.0 && a.right() <= 1280.0, "{name}: {a:?}");
            let clash = boxes[..index].iter().find(|b| {
                a.left() < b.right()
                    && b.left() < a.right()
                    && a.top() < b.bottom()
                    && b.top() < a.bottom()
            });
            assert_eq!(clash, None, "{name}: {a:?}");
        }
    }
}

fn texts(group: &usvg::Group, boxes: &mut Vec<tiny_skia::Rect>) {
    for node in group.children() {
        match node {
            usvg::Node::Group(group) => texts(group, boxes),
            usvg::Node::Text(text) => boxes.push(text.abs_bounding_box()),
            _ => {}
        }
    }
}
