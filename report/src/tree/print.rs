//! Lays lines out in columns: name, duration, bar, remarks.

use super::TreeOptions;
use super::bar::bar;
use super::node::Node;
use super::paint::Paint;
use crate::duration::human;
use crate::gap::Stretch;
use crate::text::{clip, width};

/// Wide enough for `45.2 ms`.
const DURATION: usize = 7;
/// Fewer columns than this for remarks make one row of them.
const NARROW: usize = 24;
/// Between two remarks.
const BETWEEN: &str = " · ";
/// Between two columns.
const SPACE: usize = 2;

/// Prints nodes in columns that are the same for all of a trace.
pub(super) struct Printer<'a> {
    paint: &'a Paint,
    unicode: bool,
    range: Stretch,
    name: usize,
    bar: usize,
    notes: usize,
}

impl<'a> Printer<'a> {
    pub(super) fn new(
        options: &TreeOptions,
        paint: &'a Paint,
        range: Stretch,
        trees: [&[Node]; 2],
    ) -> Printer<'a> {
        let widest = trees
            .iter()
            .map(|nodes| widest(nodes, 1))
            .max()
            .unwrap_or(0);
        let name = widest.min((options.width / 2).max(16));
        let left = options.width.saturating_sub(name + DURATION + 2 * SPACE);
        let bar = match options.width >= 80 {
            true => (left / 3).clamp(12, 40),
            false => 0,
        };
        let taken = if bar == 0 { 0 } else { bar + SPACE };
        Printer {
            paint,
            unicode: options.unicode,
            range,
            name,
            bar,
            notes: left.saturating_sub(taken),
        }
    }

    pub(super) fn print(&self, out: &mut String, nodes: &[Node]) {
        self.level(out, nodes, "");
    }

    fn level(&self, out: &mut String, nodes: &[Node], indent: &str) {
        let [tee, corner, pipe] = match self.unicode {
            true => ["├─ ", "└─ ", "│  "],
            false => ["|- ", "`- ", "|  "],
        };
        for (place, node) in nodes.iter().enumerate() {
            let last = place + 1 == nodes.len();
            let below = format!("{indent}{}", if last { "   " } else { pipe });
            self.line(
                out,
                node,
                &format!("{indent}{}", if last { corner } else { tee }),
                &match node.children.is_empty() {
                    true => below.clone(),
                    false => format!("{below}{pipe}"),
                },
            );
            self.level(out, &node.children, &below);
        }
    }

    /// One line, and below it the remarks that found no room there.
    fn line(&self, out: &mut String, node: &Node, branch: &str, below: &str) {
        let label = clip(&node.label, self.name.saturating_sub(width(branch)).max(8));
        let fill = " ".repeat(self.name.saturating_sub(width(branch) + width(&label)));
        let name = self.paint.tier(node.tier, &label);
        let name = if node.slowest {
            self.paint.bold(&name)
        } else {
            name
        };
        let duration = node.duration.map(human).unwrap_or_default();
        let mut line = format!(
            "{}{name}{fill}  {duration:>DURATION$}",
            self.paint.dim(branch)
        );
        if self.bar > 0 {
            let bar = bar(&node.segments, self.range, self.bar, self.unicode);
            line = format!("{line}  {}", self.paint.tier(node.tier, &bar));
        }
        let mut rows = self.rows(&node.notes).into_iter();
        let first = self.remark(node, &rows.next().unwrap_or_default());
        out.push_str(format!("{line}  {first}").trim_end());
        out.push('\n');
        let bar = if self.bar == 0 { 0 } else { self.bar + SPACE };
        let column = self.name + SPACE + DURATION + bar + SPACE;
        let fill = " ".repeat(column.saturating_sub(width(below)));
        for row in rows {
            *out += &format!(
                "{}{fill}{}\n",
                self.paint.dim(below),
                self.remark(node, &row)
            );
        }
    }

    fn remark(&self, node: &Node, text: &str) -> String {
        match node.failed {
            true => self.paint.red(text),
            false => text.to_owned(),
        }
    }

    /// The remarks in rows that fit; in a narrow terminal one row, cut.
    fn rows(&self, notes: &[String]) -> Vec<String> {
        if self.notes < NARROW {
            return vec![clip(&notes.join(BETWEEN), self.notes)];
        }
        let mut rows: Vec<String> = Vec::new();
        for note in notes {
            let note = clip(note, self.notes);
            match rows.last_mut() {
                Some(row) if width(row) + width(BETWEEN) + width(&note) <= self.notes => {
                    *row = format!("{row}{BETWEEN}{note}");
                }
                _ => rows.push(note),
            }
        }
        rows
    }
}

fn widest(nodes: &[Node], depth: usize) -> usize {
    let own = |node: &Node| 3 * depth + width(&node.label);
    let all = nodes
        .iter()
        .map(|n| own(n).max(widest(&n.children, depth + 1)));
    all.max().unwrap_or(0)
}
