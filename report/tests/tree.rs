//! The terminal tree against golden files and hostile text.

mod common;

use common::{broken, golden, health, hostile, n_plus_one, slow};
use tierscope_model::Trace;
use tierscope_report::{TreeOptions, render_tree};

fn tree(trace: &Trace, width: usize) -> String {
    let options = TreeOptions {
        color: false,
        width,
        unicode: true,
    };
    render_tree(trace, &options)
}

#[test]
fn trees_are_as_blessed() {
    golden("slow.txt", &tree(&slow(), 130));
    golden("health.txt", &tree(&health(), 100));
    golden("n_plus_one.txt", &tree(&n_plus_one(12), 120));
    golden("broken.txt", &tree(&broken(), 120));
    golden("narrow.txt", &tree(&slow(), 70));
}

#[test]
fn plain_ascii_and_colour_are_as_blessed() {
    let mut options = TreeOptions {
        color: false,
        width: 110,
        unicode: false,
    };
    let ascii = render_tree(&slow(), &options);
    assert!(ascii.is_ascii());
    golden("ascii.txt", &ascii);
    (options.color, options.unicode) = (true, true);
    golden("color.txt", &render_tree(&broken(), &options));
}

#[test]
fn hostile_text_cannot_drive_the_terminal() {
    let text = tree(&hostile(), 160);
    let odd = |c: &char| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c);
    assert_eq!(text.chars().find(odd), None);
    assert!(
        text.contains("\\u{1b}]0;owned"),
        "the escape is shown as text"
    );
    assert!(
        !text.lines().any(|line| line.starts_with("├─ fake")),
        "no forged line"
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 79, 80, 100, 200] {
        for trace in [slow(), broken(), hostile(), n_plus_one(30)] {
            let text = tree(&trace, width);
            let columns = |line: &str| line.chars().count();
            let body = text.lines().filter(|l| l.starts_with(['├', '└', '│', ' ']));
            let widest = body.map(columns).max().unwrap_or(0);
            assert!(widest <= width, "{widest} columns of {width}");
        }
    }
}

#[test]
fn damaged_traces_are_drawn_without_end_or_panic() {
    let mut trace = slow();
    trace.spans.clear();
    assert_eq!(tree(&trace, 100).lines().count(), 2);

    let mut trace = slow();
    let last = trace.spans[trace.spans.len() - 1].span_id;
    if let Some(link) = &mut trace.spans[3].parent {
        link.span_id = last;
    }
    assert!(
        tree(&trace, 100).contains("orphans"),
        "a forward link is an orphan, not a cycle"
    );

    let mut deep = health();
    for _ in 0..10_000 {
        let mut span = deep.spans[deep.spans.len() - 1].clone();
        if let Some(link) = &mut span.parent {
            link.span_id = span.span_id;
        }
        span.span_id.0 += 1;
        span.attributes = Default::default();
        deep.spans.push(span);
    }
    assert!(
        tree(&deep, 100).lines().count() < 100,
        "equal siblings at the depth limit fold"
    );
}
