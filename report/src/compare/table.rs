//! The table in the terminal.

use tierscope_analyzer::{Comparison, Tag};

use super::{Line, Sides, difference, durations, lines, name, normal, sentence, share, signed};
use crate::TreeOptions;
use crate::duration::human;
use crate::text::{clip, visible_clip, width};
use crate::tier::Tiers;
use crate::tree::Paint;

/// Wide enough for `45.2 ms`, `+45.2 ms`, `−100 %`, `fewer calls`.
const DURATION: usize = 7;
const DELTA: usize = 8;
const SHARE: usize = 6;
const TAG: usize = 11;
/// What is normal is shown from so many columns on.
const WIDE: usize = 100;

/// The whole text.
pub(super) fn draw(comparison: &Comparison<'_>, sides: &Sides, options: &TreeOptions) -> String {
    let paint = Paint::new(options.color);
    let mut out = heading(comparison, sides, &paint);
    let table = Table::new(comparison, options, &paint);
    out += &table.head();
    out.push('\n');
    for line in &table.lines {
        out += &table.line(line);
        out.push('\n');
    }
    out += &table.total();
    out.push('\n');
    if table.lines.iter().any(|line| line.folded) {
        out += &paint.dim("▸ with rows under it in which nothing differs\n");
    }
    if comparison.skew_allowed {
        out += &paint.dim(
            "imported: siblings that overlap by under 1 % of their parent count as one after the other\n",
        );
    }
    out
}

/// What is compared, both traces, the sentence.
fn heading(comparison: &Comparison<'_>, sides: &Sides, paint: &Paint) -> String {
    let endpoint = visible_clip(&comparison.b.endpoint, 200);
    let mut out = format!("{}\n", paint.bold(&endpoint));
    for (letter, side, trace) in [("A", &sides.a, comparison.a), ("B", &sides.b, comparison.b)] {
        let other = match trace.endpoint == comparison.b.endpoint {
            true => String::new(),
            false => format!(" · {}", visible_clip(&trace.endpoint, 200)),
        };
        let duration = human(trace.duration());
        out += &format!(
            "{letter}: {}{other} · {duration}\n",
            visible_clip(side, 100)
        );
    }
    out + &format!("\n{}\n\n", sentence(comparison))
}

struct Table<'c, 'a> {
    comparison: &'c Comparison<'a>,
    lines: Vec<Line<'a>>,
    tiers: Tiers<'a>,
    paint: &'c Paint,
    unicode: bool,
    name: usize,
    wide: bool,
}

impl<'c, 'a> Table<'c, 'a> {
    fn new(comparison: &'c Comparison<'a>, options: &TreeOptions, paint: &'c Paint) -> Self {
        let lines = lines(&comparison.rows);
        let wide = options.width >= WIDE && lines.iter().any(|line| line.normal.is_some());
        let normal = lines.iter().map(|line| width(&normal(line))).max();
        let normal = normal.unwrap_or(0);
        let last = if wide { TAG + 2 + normal } else { TAG };
        let taken = 2 * (DURATION + 2) + DELTA + 2 + SHARE + 2 + 2 + last;
        let longest = lines
            .iter()
            .map(|line| 3 * (line.more.len() - 1) + width(&name(line)));
        let room = options.width.saturating_sub(taken).max(24);
        Table {
            comparison,
            tiers: Tiers::of(comparison.b),
            name: longest.max().unwrap_or(0).min(room),
            lines,
            paint,
            unicode: options.unicode,
            wide,
        }
    }

    /// Name, four numbers, tag, what is normal, each with what of it is seen.
    fn columns(&self, cells: [Painted; 7]) -> String {
        let widths = [self.name, DURATION, DURATION, DELTA, SHARE, TAG, 0];
        let mut line = String::new();
        for (place, (cell, columns)) in cells.iter().zip(widths).enumerate() {
            let fill = " ".repeat(columns.saturating_sub(width(&cell.plain)));
            let between = if place == 0 { "" } else { "  " };
            line += &match place {
                1..=4 => format!("{between}{fill}{}", cell.shown),
                _ => format!("{between}{}{fill}", cell.shown),
            };
        }
        line.trim_end().to_owned()
    }

    fn line(&self, line: &Line<'a>) -> String {
        let branch = self.branch(line);
        let label = clip(&name(line), self.name.saturating_sub(width(&branch)).max(8));
        let [a, b] = durations(line).map(Painted::plain);
        let delta = Painted::plain(difference(line));
        let share = Painted::plain(share(line.delta_ns, self.comparison.delta_ns));
        let tag = Painted::plain(line.tag.name().to_owned());
        let normal = Painted::plain(if self.wide {
            normal(line)
        } else {
            String::new()
        });
        if line.noise {
            let name = Painted::plain(branch + &label);
            return self
                .paint
                .dim(&self.columns([name, a, b, delta, share, tag, normal]));
        }
        let tier = self
            .paint
            .tier(Some(self.tiers.index(line.service)), &label);
        let name = Painted {
            shown: self.paint.dim(&branch) + &tier,
            plain: branch + &label,
        };
        let strong = |cell: Painted| Painted {
            shown: match line.tag {
                Tag::Slower | Tag::Added | Tag::MoreCalls => self.paint.red(&cell.plain),
                _ => self.paint.bold(&cell.plain),
            },
            ..cell
        };
        self.columns([name, a, b, strong(delta), strong(share), tag, normal])
    }

    fn branch(&self, line: &Line<'_>) -> String {
        let [tee, corner, pipe] = match self.unicode {
            true => ["├─ ", "└─ ", "│  "],
            false => ["|- ", "`- ", "|  "],
        };
        let Some((own, above)) = line
            .more
            .split_last()
            .filter(|(_, above)| !above.is_empty())
        else {
            return String::new();
        };
        let above = above
            .iter()
            .skip(1)
            .map(|more| if *more { pipe } else { "   " });
        above.chain([if *own { tee } else { corner }]).collect()
    }

    fn head(&self) -> String {
        let head = [
            "",
            "A",
            "B",
            "Δ",
            "share",
            "",
            if self.wide { "normal" } else { "" },
        ];
        self.paint
            .dim(&self.columns(head.map(|text| Painted::plain(text.to_owned()))))
    }

    /// The sum of all rows.
    fn total(&self) -> String {
        let comparison = self.comparison;
        let [a, b] = [comparison.a, comparison.b].map(|trace| human(trace.duration()));
        let sum: i64 = self.lines.iter().map(|line| line.delta_ns).sum();
        let share = share(sum, comparison.delta_ns);
        let cells = ["total", &a, &b, &signed(sum), &share, "", ""];
        self.paint
            .bold(&self.columns(cells.map(|text| Painted::plain(text.to_owned()))))
    }
}

/// A text, and how it is shown: colours take no columns.
struct Painted {
    plain: String,
    shown: String,
}

impl Painted {
    fn plain(text: String) -> Painted {
        Painted {
            shown: text.clone(),
            plain: text,
        }
    }
}
