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
            self.line(
                out,
                node,
                &format!("{indent}{}", if last { corner } else { tee }),
            );
            let below = format!("{indent}{}", if last { "   " } else { pipe });
            self.level(out, &node.children, &below);
        }
    }

    fn line(&self, out: &mut String, node: &Node, branch: &str) {
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
        let notes = clip(&node.notes.join(" · "), self.notes);
        let notes = match node.failed {
            true => self.paint.red(&notes),
            false => notes,
        };
        out.push_str(format!("{line}  {notes}").trim_end());
        out.push('\n');
    }
}

fn widest(nodes: &[Node], depth: usize) -> usize {
    let own = |node: &Node| 3 * depth + width(&node.label);
    let all = nodes
        .iter()
        .map(|n| own(n).max(widest(&n.children, depth + 1)));
    all.max().unwrap_or(0)
}
