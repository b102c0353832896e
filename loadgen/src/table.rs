//! The summary as text.

use std::fmt::{Display, Formatter, Result};

use crate::summary::{EndpointSummary, Quantiles, Summary};

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        overview(f, self)?;
        for (kind, count) in &self.errors {
            writeln!(f, "error {kind}: {count}")?;
        }
        let rows = || self.endpoints.iter().chain([&self.total]);
        let width = rows()
            .map(|row| row.name.chars().count())
            .max()
            .unwrap_or(0);
        let intended = rows().map(|row| (row, row.from_intended));
        table(f, "from intended send", width, intended)?;
        let sent = rows().map(|row| (row, row.from_send));
        table(f, "from actual send", width, sent)
    }
}

fn overview(f: &mut Formatter<'_>, summary: &Summary) -> Result {
    let target = summary
        .target_rate
        .map_or("closed loop".to_owned(), |rate| format!("target {rate}/s"));
    writeln!(
        f,
        "{} sent, {} ok over {} connections in {}: {:.1}/s ({target})",
        summary.total.sent,
        summary.total.ok,
        summary.connections,
        time(summary.elapsed_ns),
        summary.achieved_rate,
    )?;
    let lag = &summary.send_lag;
    writeln!(
        f,
        "fell behind: p50 {}  p99 {}  max {}   reconnects {} ({} failed){}",
        time(lag.p50_ns),
        time(lag.p99_ns),
        time(lag.max_ns),
        summary.reconnects,
        summary.connect_failures,
        if summary.interrupted {
            "   interrupted"
        } else {
            ""
        },
    )
}

fn table<'a>(
    f: &mut Formatter<'_>,
    title: &str,
    width: usize,
    rows: impl Iterator<Item = (&'a EndpointSummary, Quantiles)>,
) -> Result {
    writeln!(f, "\n{title}")?;
    writeln!(
        f,
        "{:width$} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "requests", "ok", "p50", "p90", "p99", "p99.9", "max"
    )?;
    for (row, latency) in rows {
        write!(f, "{:width$} {:>9} {:>9}", row.name, row.requests, row.ok)?;
        let Quantiles {
            p50_ns,
            p90_ns,
            p99_ns,
            p999_ns,
            max_ns,
        } = latency;
        for ns in [p50_ns, p90_ns, p99_ns, p999_ns, max_ns] {
            write!(f, " {:>9}", time(ns))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// A duration in the unit that fits, three digits or more.
fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0 => return "0".to_owned(),
        1..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_the_unit_that_fits() {
        let texts = [0, 999, 1_500, 45_200_000, 500_000_000, 20_000_000_000].map(time);
        assert_eq!(
            texts,
            ["0", "999 ns", "1.50 µs", "45.2 ms", "500 ms", "20.0 s"]
        );
    }
}
