//! Shows traces and findings to people: a terminal tree, an SVG waterfall, two traces side by side,
//! findings in sentences, and a run as one HTML page.
//!
//! All are pure: a [`tierscope_model::Trace`] in, a `String` out, the same bytes each time.
//! Text from outside (paths, SQL, service names) is made visible before it is drawn, so that it
//! can neither drive a terminal nor break out of the SVG.

mod compare;
mod duration;
mod findings;
mod gap;
mod html;
mod label;
mod outline;
mod sum;
mod svg;
mod text;
mod threads;
mod tier;
mod tree;

pub use compare::{Sides, render_comparison, sentence};
pub use duration::human;
pub use findings::render_findings;
pub use html::{Key, Latencies, Median, Report, WATERFALLS, render_html};
pub use svg::{SvgOptions, render_comparison_svg, render_svg};
pub use text::visible;
pub use tree::{TreeOptions, render_tree};
