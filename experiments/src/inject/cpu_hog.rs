//! A CPU hog beside the app: a process that never sleeps takes the one CPU that the app may use.
//!
//! The hog runs at real-time priority, so that the app waits for as long as the hog is there and not
//! for as long as the scheduler thinks fair. It ends with whoever started it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tierscope_stack::Role;

use super::{Hit, Injector, Site, clock::now, process};
use crate::error::{Error, Result};

const NAME: &str = "cpu-hog";
/// From its start to its first turn of the loop.
const START: Duration = Duration::from_secs(2);
/// On a CPU for so long it is the hog, and no longer one of the programs that make it one.
const HOGGING: Duration = Duration::from_millis(5);

/// It needs nothing but the app.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CpuHog {}

impl CpuHog {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Hog> {
        Hog::beside(process::of_tier(site, Role::App)?)
    }
}

/// Takes one of a process's CPUs, and all others from it.
#[derive(Debug)]
pub(super) struct Hog {
    victim: u32,
    /// The CPUs that the victim may use otherwise, as `taskset` writes them.
    allowed: String,
    cpu: u32,
    hogging: Option<Hogging>,
}

#[derive(Debug)]
struct Hogging {
    hog: Child,
    from_ns: u64,
    ran: Duration,
}

impl Hog {
    fn beside(victim: u32) -> Result<Hog> {
        let allowed = allowed_cpus(victim)?;
        let last = allowed.rsplit([',', '-']).next();
        let cpu = last.and_then(|cpu| cpu.parse().ok()).filter(|cpu| *cpu > 0);
        // All others, this program too, must be able to go on.
        let cpu = cpu.ok_or_else(|| refused("there is only one CPU".to_owned()))?;
        let hog = Hog {
            victim,
            allowed,
            cpu,
            hogging: None,
        };
        let mut nothing = hog.command("true");
        let run = nothing.output().map_err(|e| refused(e.to_string()))?;
        match run.status.success() {
            true => Ok(hog),
            false => Err(refused(String::from_utf8_lossy(&run.stderr).into_owned())),
        }
    }

    /// `script` at real-time priority on the CPU. It ends when the thread does that starts it.
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "taskset", "-c"])
            .arg(self.cpu.to_string())
            .args(["chrt", "--fifo", "1", "sh", "-c", script])
            .stdin(Stdio::null());
        command
    }

    fn let_use(&self, cpus: &str) -> Result<()> {
        let mut taskset = Command::new("taskset");
        taskset
            .args(["-a", "-c", "-p", cpus])
            .arg(self.victim.to_string());
        let run = taskset.output().map_err(|e| failed(e.to_string()))?;
        match run.status.success() {
            true => Ok(()),
            false => Err(failed(String::from_utf8_lossy(&run.stderr).into_owned())),
        }
    }
}

impl Injector for Hog {
    fn begin(&mut self) -> Result<()> {
        let mut endless = self.command("while :; do :; done");
        let hog = endless.spawn().map_err(|e| failed(e.to_string()))?;
        let pid = hog.id();
        let hogging = self.hogging.insert(Hogging {
            hog,
            from_ns: now(),
            ran: Duration::ZERO,
        });
        let begun = Instant::now();
        while hogging.ran < HOGGING {
            std::thread::sleep(Duration::from_millis(1));
            hogging.ran = process::on_cpu(pid).unwrap_or_default();
            if begun.elapsed() > START {
                return Err(failed("the hog does not get its CPU".to_owned()));
            }
        }
        self.let_use(&self.cpu.to_string())?;
        if let Some(hogging) = &mut self.hogging {
            hogging.from_ns = now();
            hogging.ran = process::on_cpu(pid).unwrap_or_default();
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(mut hogging) = self.hogging.take() else {
            return Ok(Vec::new());
        };
        let ran = process::on_cpu(hogging.hog.id()).unwrap_or_default();
        let to_ns = now();
        let ended = hogging.hog.kill().and_then(|()| hogging.hog.wait());
        self.let_use(&self.allowed)?;
        ended.map_err(|e| failed(e.to_string()))?;
        let ran = ran.saturating_sub(hogging.ran);
        Ok(vec![Hit {
            from_ns: hogging.from_ns,
            to_ns,
            request: None,
            magnitude_ns: None,
            clients: Vec::new(),
            what: format!(
                "a hog ran for {:.1} ms on CPU {}, the only one of process {}",
                ran.as_secs_f64() * 1e3,
                self.cpu,
                self.victim
            ),
        }])
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`.
        let _ = self.end();
    }
}

fn allowed_cpus(pid: u32) -> Result<String> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).map_err(Error::read(&path))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.map(|list| list.trim().to_owned())
        .ok_or_else(|| refused(format!("{path} does not tell its CPUs")))
}

fn refused(reason: String) -> Error {
    Error::Refused {
        fault: NAME,
        reason: reason.trim_end().to_owned(),
    }
}

fn failed(reason: String) -> Error {
    Error::Inject {
        fault: NAME,
        reason: reason.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::owner::{self, Victim};

    #[test]
    fn its_victim_stands_still_and_has_its_cpus_back_afterwards() {
        let victim = Victim::busy();
        let pid = victim.pid();
        let before = allowed_cpus(pid).expect("known");
        let mut hog = match Hog::beside(pid) {
            Err(Error::Refused { reason, .. }) => return println!("skipped: {reason}"),
            hog => hog.expect("a hog"),
        };
        hog.begin().expect("it hogs");
        let ran = process::on_cpu(pid).expect("it is there");
        std::thread::sleep(Duration::from_millis(100));
        let still = process::on_cpu(pid).expect("it is there") - ran;
        let hits = hog.end().expect("it is gone");
        assert!(still < Duration::from_millis(20), "{still:?}");
        let [hit] = &hits[..] else { panic!("{hits:?}") };
        assert!(hit.to_ns - hit.from_ns > 90_000_000, "{hit:?}");
        assert_eq!(allowed_cpus(pid).expect("known"), before);
        assert!(hog.end().expect("nothing to end").is_empty());
    }

    #[test]
    fn it_ends_with_a_killed_owner() {
        let victim = Victim::busy();
        let hog = Hog::beside(victim.pid());
        if let Err(Error::Refused { reason, .. }) = hog {
            println!("skipped: {reason}");
        } else {
            let children = owner::killed("cpu_hog::tests::hog", victim.pid());
            assert_eq!(children.len(), 1, "one hog");
            owner::all_end(&children);
        }
    }

    #[test]
    #[ignore = "the owner that the test above kills"]
    fn hog() {
        owner::hold(|victim| Ok(Box::new(Hog::beside(victim)?)));
    }
}
