//! Progress on standard error, for people: nothing where it is not a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether progress is shown.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
}

/// One step under way.
#[derive(Debug)]
pub struct Step(ProgressBar);

impl Progress {
    /// Shown where standard error is a terminal.
    pub fn on_terminal() -> Progress {
        Progress {
            shown: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        }
    }

    /// A step of unknown length.
    pub fn step(&self, what: &str) -> Step {
        self.bar(what.to_owned(), "{spinner} {msg} {elapsed}")
    }

    /// A step that counts.
    pub fn count(&self, what: &str, unit: &str) -> Step {
        self.bar(
            what.to_owned(),
            &format!("{{spinner}} {{msg}} {{pos}} {unit} {{elapsed}}"),
        )
    }

    fn bar(&self, what: String, template: &str) -> Step {
        let target = if self.shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target).with_message(what);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if self.shown {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Step(bar)
    }
}

impl Step {
    /// `n` more are done.
    pub fn inc(&self, n: u64) {
        self.0.inc(n);
    }

    /// Takes the line away.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}
