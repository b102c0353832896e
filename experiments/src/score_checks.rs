//! What every run promises of its traces, as checks beside those against other sources.

use crate::check::{Check, Promise};
use crate::score::Score;

const COMPLETE: Promise = Promise {
    name: "complete",
    bound: "at least 99.9 % of the requests",
    includes: "theirs: requests that the client had answered; ours: traces with every hop and query, both \
               messages of each",
};
const MIS_STITCHED: Promise = Promise {
    name: "mis_stitched",
    bound: "0",
    includes: "theirs: the request id bound in each statement, the client's method, path and port; ours: the \
               request that the span hangs under",
};
const LOSS: Promise = Promise {
    name: "loss",
    bound: "0, or every trace that lacks something says so",
    includes: "theirs: the kernel's count of events that found no room, and what the client had answered; ours: \
               the traces' marks",
};
const CLIENT_CLOCK: Promise = Promise {
    name: "client_clock",
    bound: "p99 of the difference at most 50 µs",
    includes: "theirs: before the write → after the last read, on the client's clock; ours: entry of the send → \
               exit of the last read",
};

/// The checks of a score.
pub(crate) fn checks(score: &Score) -> Vec<Check> {
    vec![
        complete(score),
        MIS_STITCHED.judged(
            score.mis_stitched == 0,
            score.mis_stitched.to_string(),
            &[("mis_stitched", score.mis_stitched as f64)],
        ),
        loss(score),
        client_clock(score),
    ]
}

fn complete(score: &Score) -> Check {
    let share = score.complete_share();
    let value = format!(
        "{} of {} ({:.2} %)",
        score.complete,
        score.requests,
        100.0 * share
    );
    COMPLETE.judged(share >= 0.999, value, &[("share", share)])
}

fn loss(score: &Score) -> Check {
    let unmarked: u64 = score.unmarked().map(|(_, n)| n).sum();
    let lost = score.lost_events;
    let value = match lost {
        0 => "0 lost".to_owned(),
        _ => format!("{lost} lost, {unmarked} traces lack something and do not say so"),
    };
    let figures = [("lost", lost as f64), ("unmarked", unmarked as f64)];
    LOSS.judged(lost == 0 || unmarked == 0, value, &figures)
}

fn client_clock(score: &Score) -> Check {
    let off = score.client_vs_trace_us;
    if score.complete == 0 {
        return CLIENT_CLOCK.not_checked("no request is complete");
    }
    let value = format!(
        "p50 {:.1} µs, p99 {:.1} µs, at most {:.1} µs",
        off.p50, off.p99, off.max
    );
    CLIENT_CLOCK.judged(
        off.p99 <= 50.0,
        value,
        &[("p50_us", off.p50), ("p99_us", off.p99)],
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_loss_is_forgiven_where_every_trace_says_so() {
        let score = |lost_events, reason: &str| Score {
            lost_events,
            incomplete_by_reason: BTreeMap::from([(reason.to_owned(), 3)]),
            ..Score::default()
        };
        assert!(loss(&score(0, "0 of 1 queries")).is_ok());
        assert!(loss(&score(9, "marked EventLoss")).is_ok());
        assert!(loss(&score(9, "client error: timeout")).is_ok());
        assert!(!loss(&score(9, "0 of 1 queries")).is_ok());
        assert!(!loss(&score(9, "no trace")).is_ok());
    }
}
