//! The waterfall: well-formed, complete, safe, and seen by a rasteriser.

mod common;

use std::sync::{Arc, LazyLock};

use common::{broken, golden, health, hostile, n_plus_one, slow};
use resvg::{tiny_skia, usvg};
use roxmltree::Document;
use tierscope_model::Trace;
use tierscope_report::{SvgOptions, render_svg};

fn samples() -> [(&'static str, Trace); 5] {
    [
        ("health", health()),
        ("slow", slow()),
        ("n_plus_one", n_plus_one(15)),
        ("broken", broken()),
        ("hostile", hostile()),
    ]
}

/// The samples as a plain viewer reads them.
fn trees() -> &'static [(&'static str, usvg::Tree)] {
    static TREES: LazyLock<Vec<(&'static str, usvg::Tree)>> = LazyLock::new(|| {
        let mut options = usvg::Options::default();
        Arc::make_mut(&mut options.fontdb).load_system_fonts();
        let read = |(name, trace)| {
            (
                name,
                usvg::Tree::from_str(&svg(&trace), &options).expect(name),
            )
        };
        samples().map(read).into()
    });
    &TREES
}

fn svg(trace: &Trace) -> String {
    let started = Some("2026-11-20 14:03:07.123 UTC".to_owned());
    render_svg(trace, &SvgOptions { started })
}

#[test]
fn pictures_are_as_blessed() {
    golden("slow.svg", &svg(&slow()));
    golden("broken.svg", &svg(&broken()));
}

#[test]
fn every_span_has_a_bar_with_its_evidence() {
    for (name, trace) in samples() {
        let text = svg(&trace);
        let document = Document::parse(&text).expect(name);
        let groups = document.descendants().filter(|n| n.has_tag_name("g"));
        let joined = groups.filter(|g| {
            let title = g.descendants().find(|n| n.has_tag_name("title"));
            title
                .and_then(|t| t.text())
                .is_some_and(|t| t.contains("\njoined to "))
        });
        assert_eq!(joined.count(), trace.spans.len(), "{name}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let text = svg(&hostile());
    let document = Document::parse(&text).expect("well-formed");
    let tags = [
        "svg", "defs", "pattern", "rect", "title", "text", "g", "line", "path",
    ];
    for node in document.descendants().filter(|n| n.is_element()) {
        assert!(
            tags.contains(&node.tag_name().name()),
            "{:?}",
            node.tag_name()
        );
        assert!(!node.attributes().any(|a| a.name().starts_with("on")));
    }
    assert!(
        !text
            .chars()
            .any(|c| c.is_control() && c != '\n' || c == '\u{202e}' || c == '\u{fffe}')
    );
    assert!(text.contains("&lt;script&gt;"), "it is shown, escaped");
}

#[test]
fn labels_do_not_overlap_and_stay_in_the_picture() {
    for (name, tree) in trees() {
        let mut boxes = Vec::new();
        texts(tree.root(), &mut boxes);
        assert!(!boxes.is_empty(), "{name}");
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

#[test]
fn a_plain_rasteriser_draws_it() {
    for (name, tree) in trees() {
        let size = tree.size().to_int_size();
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).expect(name);
        resvg::render(tree, tiny_skia::Transform::default(), &mut pixels.as_mut());
        let white = pixels
            .pixels()
            .iter()
            .filter(|p| p.red() == 255 && p.blue() == 255);
        let share = white.count() * 100 / pixels.pixels().len();
        assert!((5..95).contains(&share), "{name}: {share} % white");
        if let Some(folder) = std::env::var_os("TIERSCOPE_PICTURES") {
            let path = std::path::Path::new(&folder).join(format!("{name}.png"));
            pixels.save_png(path).expect(name);
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
