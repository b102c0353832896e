//! A run from set-up to summary.

use std::{io, sync::mpsc, thread, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    clock::{self, SECOND},
    collector::Collector,
    driver::{Counts, Driver},
    error::LoadError,
    link::Link,
    options::{LoadOptions, Mode},
    outbox::Outbox,
    record_file::RecordFile,
    schedule::Schedule,
    summary::Summary,
};

/// Between two connects of the set-up, so that they do not come as a burst.
const STAGGER: Duration = Duration::from_millis(1);

/// From the end of the set-up to the first intended time.
const LEAD: u64 = SECOND / 100;

/// Runs a load to its end: `duration` plus `timeout` at the latest. Ctrl-C or SIGTERM ends the
/// sending, a second one the waiting for answers too; either way there is a summary.
/// `progress` draws a bar on standard error if that is a terminal.
///
/// # Errors
/// Options out of range, a target that cannot be connected to at the start, a record file that
/// cannot be written. A server that fails later is recorded request by request.
pub fn run(options: &LoadOptions, progress: bool) -> Result<Summary, LoadError> {
    options.check()?;
    let file = options
        .records
        .as_deref()
        .map(RecordFile::create)
        .transpose()?;
    if options.hold {
        hold(io::stdin().lock())?;
    }
    let begin = clock::now();
    let links = connect(options)?;
    let start = clock::now() + LEAD;
    if let Some(begun) = options.begun {
        begun(start);
    }
    let collector = Collector::new(&options.mix)?;
    let (sender, receiver) = mpsc::channel();
    let driver = Driver::new(
        options,
        links,
        Schedule::new(options, start),
        Outbox::new(sender),
    )?;
    let bar = bar(options.duration, progress);
    let (counts, collected) = thread::scope(|scope| {
        let collecting = scope.spawn(|| collector.collect(receiver, file, &bar));
        (driver.run(), collecting.join())
    });
    bar.finish_and_clear();
    let collected = collected.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let end = clock::now();
    let mut summary = summarize(options, start, end, counts?, &collected);
    summary.set_up_ns = start - LEAD - begin;
    Ok(summary)
}

fn hold(mut input: impl io::BufRead) -> Result<(), LoadError> {
    match input.read_line(&mut String::new())? {
        0 => Err(LoadError::Held),
        _ => Ok(()),
    }
}

fn connect(options: &LoadOptions) -> Result<Vec<Link>, LoadError> {
    let open = |number| {
        thread::sleep(STAGGER);
        Link::open(options).map_err(|source| LoadError::Connect {
            target: options.target,
            number,
            source,
        })
    };
    (1..=options.connections).map(open).collect()
}

fn bar(duration: Duration, progress: bool) -> ProgressBar {
    if !progress {
        return ProgressBar::hidden();
    }
    let template = "load {bar:40} {elapsed_precise} {msg}";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(duration.as_millis() as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn summarize(
    options: &LoadOptions,
    start: u64,
    end: u64,
    counts: Counts,
    collected: &Collector,
) -> Summary {
    let answering = collected.last_byte.saturating_sub(start).max(1);
    Summary {
        target_rate: match options.mode {
            Mode::Open { rate } => Some(rate),
            Mode::Closed => None,
        },
        achieved_rate: collected.total.answers() as f64 * SECOND as f64 / answering as f64,
        elapsed_ns: end.saturating_sub(start),
        connections: options.connections,
        set_up_ns: 0,
        reconnects: counts.reconnects,
        connect_failures: counts.connect_failures,
        interrupted: counts.interrupted,
        errors: collected.errors.clone(),
        send_lag: (&collected.send_lag).into(),
        total: collected.total.summary(),
        endpoints: collected
            .endpoints
            .iter()
            .map(|tally| tally.summary())
            .collect(),
        sockets: counts.sockets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_lets_go_and_an_end_does_not() {
        assert!(hold(&b"go\n"[..]).is_ok());
        assert!(matches!(hold(&b""[..]), Err(LoadError::Held)));
    }
}
