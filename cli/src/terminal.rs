//! What standard output can show.

use std::io::{IsTerminal, Write};

use tierscope_report::TreeOptions;

/// Columns where standard output is not a terminal.
const PLAIN_WIDTH: usize = 110;

/// Colours on a terminal unless `NO_COLOR` is set; its width; Unicode unless the locale says otherwise.
pub fn tree_options() -> TreeOptions {
    let terminal = std::io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let ascii = matches!(locale.as_deref(), Some("C" | "POSIX")) && terminal;
    let width = console_width().filter(|_| terminal).unwrap_or(PLAIN_WIDTH);
    TreeOptions {
        color: terminal && !no_color,
        width,
        unicode: !ascii,
    }
}

fn console_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// Prints to standard output, an error (a closed pipe) included.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}
