//! A lab in truth mode, and recordings of it together with its client.

use std::time::Duration;

use super::seen::Seen;
use crate::support::{Lab, Recording, Scratch, may_trace};

/// A lab for one test.
pub struct Stage {
    pub lab: Lab,
    scratch: Scratch,
}

impl Stage {
    /// A lab with these options on top; none where tracing is not possible.
    pub fn up(options: &[&str]) -> Option<Self> {
        if !may_trace() {
            return None;
        }
        let scratch = Scratch::new();
        let lab = Lab::up(&scratch, &[&["--truth", "--faults"], options].concat());
        Some(Self { lab, scratch })
    }

    /// Records the lab and the client; the bound ids are kept, for they are the truth.
    pub fn record(&self, client: u32, options: &[&str]) -> Recording {
        let process = |name: &str, pid: u32| format!("--process={name}={pid}");
        let mut all: Vec<_> = ["nginx", "app", "postgres"]
            .map(|role| process(role, self.lab.pid(role)))
            .into();
        all.push(process("client", client));
        all.push("--keep-text".to_owned());
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        Recording::of(self.path("hard.tsrec"), &[&all, options].concat())
    }

    /// What a recording tells, once it is stopped.
    pub fn close(&self, recording: Recording) -> Seen {
        let file = recording.file.clone();
        // A cancelled query comes to its end after its request.
        std::thread::sleep(Duration::from_millis(100));
        let ended = recording.stop();
        println!("{}{}", ended.out, ended.err);
        Seen::of(&file)
    }

    /// The path of a file of the test's own.
    pub fn path(&self, name: &str) -> String {
        self.scratch.path(name)
    }
}
