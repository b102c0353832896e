//! nginx's own rate limit: requests that come too fast are held until their turn.
//!
//! How long each was held stands in nginx's log, as what it was ahead of the rate.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use tierscope_model::{Nanos, RequestId};
use tierscope_stack::LabOptions;

use super::tail::Tail;
use super::{Hit, Injector, Site, clock::now};
use crate::error::{Error, Result};

/// How long those that are held are waited for at the end.
const LIMIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// The rate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests of all clients together.
    #[serde(deserialize_with = "per_second")]
    per_second: u32,
}

impl RateLimit {
    /// The lab's nginx must know of it from its start on.
    pub(super) fn prepare(&self, lab: &mut LabOptions) {
        lab.rate_limit = self.per_second;
    }

    pub(super) fn injector(&self, site: Site<'_>) -> Limit {
        Limit {
            per_second: self.per_second.into(),
            switch: site.lab.dir().join("nginx/limited"),
            told: Tail::new(site.lab.logs().join("nginx.log")),
            access: Tail::new(site.lab.access_log()),
            holds: false,
        }
    }
}

/// Switches the limit on and off.
#[derive(Debug)]
pub(super) struct Limit {
    per_second: u64,
    /// The file that nginx looks for.
    switch: PathBuf,
    told: Tail,
    access: Tail,
    holds: bool,
}

impl Injector for Limit {
    fn begin(&mut self) -> Result<()> {
        self.told.skip()?;
        self.access.skip()?;
        self.holds = true;
        fs::write(&self.switch, "").map_err(Error::write(&self.switch))
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        if !std::mem::take(&mut self.holds) {
            return Ok(Vec::new());
        }
        fs::remove_file(&self.switch).map_err(Error::write(&self.switch))?;
        let (begun, mut held) = (Instant::now(), Held::default());
        loop {
            // First those that are done: whoever is told there was told to be held before.
            held.finished.extend(lines(&self.access.more()?, finished));
            held.told.extend(lines(&self.told.more()?, told));
            if held.told.len() == held.finished.len() {
                let to_monotonic = wall_clock().saturating_sub(now());
                return Ok(held.hits(self.per_second, to_monotonic));
            }
            if begun.elapsed() > LIMIT {
                return Err(failed(format!(
                    "{} requests were held, and {} of them answered",
                    held.told.len(),
                    held.finished.len()
                )));
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`; the file goes with the lab.
        if self.holds {
            let _ = fs::remove_file(&self.switch);
        }
    }
}

fn lines<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
    text.lines().filter_map(parse).collect()
}

/// The requests that were held.
#[derive(Debug, Default)]
struct Held {
    told: Vec<Told>,
    finished: Vec<Finished>,
}

/// That a request will be held, as nginx tells it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    connection: u64,
    /// By how many thousandths of a request it is ahead of the rate.
    excess: u64,
}

/// A line of the access log.
#[derive(Debug, Deserialize)]
struct Finished {
    request_id: String,
    connection: u64,
    limited: String,
    msec: f64,
    request_time: f64,
}

impl Held {
    /// A connection's requests come one after the other: what is told first of it is of its first.
    /// The wall clock is ahead of the monotonic one by `to_monotonic`.
    fn hits(self, per_second: u64, to_monotonic: Nanos) -> Vec<Hit> {
        let mut excesses: HashMap<u64, VecDeque<u64>> = HashMap::new();
        for told in self.told {
            excesses
                .entry(told.connection)
                .or_default()
                .push_back(told.excess);
        }
        let hit = |done: Finished| {
            let excess = excesses.get_mut(&done.connection)?.pop_front()?;
            let to_ns = nanos(done.msec).saturating_sub(to_monotonic);
            Some(Hit {
                from_ns: to_ns.saturating_sub(nanos(done.request_time)),
                to_ns,
                request: Some(done.request_id.parse::<RequestId>().ok()?),
                magnitude_ns: Some(delay(excess, per_second)),
                clients: Vec::new(),
                what: format!("{:.3} requests ahead of the rate", excess as f64 / 1e3),
            })
        };
        self.finished.into_iter().filter_map(hit).collect()
    }
}

/// nginx's timer counts in whole milliseconds from the one that had begun when it read the request's head: half of
/// that was over, on average.
fn delay(excess: u64, per_second: u64) -> Nanos {
    (excess / per_second * 1_000_000).saturating_sub(500_000)
}

/// `… *45 delaying request, excess: 0.530, by zone "lab", …`.
fn told(line: &str) -> Option<Told> {
    let (before, after) = line.split_once(" delaying request, excess: ")?;
    let excess: f64 = after.split(',').next()?.parse().ok()?;
    Some(Told {
        connection: before.rsplit('*').next()?.parse().ok()?,
        excess: (excess * 1e3).round() as u64,
    })
}

fn finished(line: &str) -> Option<Finished> {
    let line: Finished = serde_json::from_str(line).ok()?;
    (line.limited == "DELAYED").then_some(line)
}

fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e3).round() as u64 * 1_000_000
}

fn wall_clock() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

fn failed(reason: String) -> Error {
    Error::Inject {
        fault: "rate-limit",
        reason,
    }
}

fn per_second<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<u32, D::Error> {
    let number = u32::deserialize(input)?;
    if number > 0 {
        return Ok(number);
    }
    Err(D::Error::custom("expected requests per second, above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_found_with_the_time_that_it_was_held() {
        let log = "2026/11/21 19:00:00 [warn] 7#7: *45 delaying request, excess: 12.530, by zone \"lab\", client: 127.0.0.1\n\
                   2026/11/21 19:00:00 [notice] 7#7: signal 17\n\
                   2026/11/21 19:00:00 [warn] 7#7: *46 delaying request, excess: 0.900, by zone \"lab\", client: 127.0.0.1\n\
                   2026/11/21 19:00:01 [warn] 7#7: *45 delaying request, excess: 2.000, by zone \"lab\", client: 127.0.0.1\n";
        let line = |id: char, connection: u64, limited: &str| {
            let id = id.to_string().repeat(32);
            format!(
                "{{\"request_id\":\"{id}\",\"connection\":{connection},\"limited\":\"{limited}\",\"msec\":1790000000.250,\"request_time\":0.062}}\n"
            )
        };
        let access = line('a', 46, "DELAYED")
            + &line('b', 45, "DELAYED")
            + &line('c', 45, "PASSED")
            + &line('d', 45, "DELAYED");
        let held = Held {
            told: lines(log, told),
            finished: lines(&access, finished),
        };
        let hits = held.hits(200, 1_789_000_000_000_000_000);
        let found: Vec<_> = hits
            .iter()
            .map(|hit| {
                (
                    hit.request.map(|id| id.to_string().remove(0)),
                    hit.magnitude_ns,
                )
            })
            .collect();
        let ms = |ms: u64| Some(ms * 1_000_000 - 500_000);
        assert_eq!(
            found,
            [(Some('a'), ms(4)), (Some('b'), ms(62)), (Some('d'), ms(10))]
        );
        assert!(hits.iter().all(|hit| hit.to_ns - hit.from_ns == 62_000_000));
    }
}
