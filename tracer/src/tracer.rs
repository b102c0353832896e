//! The tracer: programs in place, processes followed, records handed out.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use aya::maps::{MapData, RingBuf};
use aya::sys::{Stats, enable_stats};
use aya::{Btf, Ebpf};
use tierscope_model::Sample;

use crate::accept::Accept;
use crate::counters::{Counters, ProgramCounts, map_error, take_map};
use crate::hooks::{self, FILES, HOOKS, Hook, HookReport};
use crate::kernel::{btf, load_object, release, supported};
use crate::misses::Misses;
use crate::processes::{Facts, Processes, programs};
use crate::stack::Stacks;
use crate::usdt::attach::Usdt;
use crate::walk;
use crate::{Detail, TracerError};

/// A service to trace: a name, and the processes that it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Shown to the user.
    pub name: String,
    /// Its processes now; what they forked and will fork belongs to it too.
    pub pids: Vec<u32>,
    /// A binary whose USDT probes to attach besides those of the running pids, for a service that is yet to start.
    pub binary: Option<PathBuf>,
}

/// What to trace, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracerOptions {
    /// Their order gives the service index of the PROCESS records.
    pub services: Vec<Service>,
    /// Size of the ring buffer; a power of two. It is mapped twice in a row, and counts twice as resident.
    pub ring_bytes: u32,
    /// Has the kernel time every program ([`Tracer::stats`]); costs some 20 ns per run.
    pub time_programs: bool,
    /// How much to record.
    pub detail: Detail,
    /// Which requests to record; `None`: all. What carries no id is recorded in any case.
    pub sample: Option<Sample>,
    /// Hooks to do without, by event, as on a kernel that lacks them; those that tracing needs are taken still.
    pub without: Vec<String>,
}

impl Default for TracerOptions {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            ring_bytes: 8 << 20,
            time_programs: false,
            detail: Detail::default(),
            sample: None,
            without: Vec::new(),
        }
    }
}

/// How often one program ran and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramStats {
    /// Its name in the object.
    pub program: String,
    /// Runs.
    pub runs: u64,
    /// Time in them (ns).
    pub time_ns: u64,
}

/// Everything in the kernel that belongs to this recording; dropping it takes it all out again.
pub struct Tracer {
    bpf: Ebpf,
    ring: RingBuf<MapData>,
    ring_bytes: usize,
    processes: Processes,
    counters: Counters,
    usdt: Usdt,
    accept: Accept,
    stacks: Stacks,
    services: usize,
    hooks: Vec<HookReport>,
    /// Records made here, not yet handed out.
    own: Vec<Vec<u8>>,
    scratch: Vec<u8>,
    _statistics: Option<OwnedFd>,
}

impl Tracer {
    /// Puts every program in place, takes up the services' processes, their forks and their open sockets.
    ///
    /// # Errors
    ///
    /// No BTF, no privilege, a kernel without the hooks, a process that is not there; each says what to do.
    pub fn start(options: TracerOptions) -> Result<Self, TracerError> {
        let bytes = options.ring_bytes;
        if !bytes.is_power_of_two() || bytes < 4096 {
            return Err(TracerError::RingSize { bytes });
        }
        supported(&release())?;
        let btf = btf()?;
        let mut tracer = Self::load(&btf, &options)?;
        let left_out = |hook: &Hook| left_out(&options, hook);
        let reports = hooks::attach_all(&mut tracer.bpf, &btf, HOOKS, left_out)?;
        tracer.hooks.extend(reports);
        tracer.counters.watch(Misses::of_all(&tracer.bpf));
        for (index, service) in options.services.iter().enumerate() {
            if let Some(binary) = &service.binary {
                tracer.attach_usdt(binary.clone())?;
            }
            for pid in &service.pids {
                tracer.follow(index as u32, *pid)?;
            }
        }
        walk::all(&mut tracer.bpf)?;
        Ok(tracer)
    }

    fn load(btf: &Btf, options: &TracerOptions) -> Result<Self, TracerError> {
        let mut bpf = load_object(btf, options.ring_bytes, options.sample)?;
        walk::load(&mut bpf, btf)?;
        // First: its programs refer to the maps that are taken out below.
        let (accept, hooks) = Accept::new(&mut bpf, btf);
        Ok(Self {
            accept,
            usdt: Usdt::new(&mut bpf, btf, options.detail)?,
            ring: take_map(&mut bpf, "events")?
                .try_into()
                .map_err(map_error("events"))?,
            ring_bytes: options.ring_bytes as usize,
            processes: Processes::new(&mut bpf)?,
            counters: Counters::new(&mut bpf)?,
            stacks: Stacks::new(&mut bpf)?,
            services: options.services.len(),
            hooks,
            own: Vec::new(),
            scratch: Vec::new(),
            // A kernel that cannot time programs traces as well.
            _statistics: options
                .time_programs
                .then(|| enable_stats(Stats::RunTime).ok())
                .flatten(),
            bpf,
        })
    }

    /// Traces one more process of a service, what it forked so far, and the sockets they have open.
    ///
    /// # Errors
    ///
    /// No such process or service, or the process is this one.
    pub fn add_process(&mut self, service: u32, pid: u32) -> Result<(), TracerError> {
        if service as usize >= self.services {
            return Err(TracerError::NoSuchService {
                index: service,
                count: self.services,
            });
        }
        self.follow(service, pid)?;
        walk::all(&mut self.bpf)
    }

    fn follow(&mut self, service: u32, pid: u32) -> Result<(), TracerError> {
        let mut stacks = false;
        // A container's first process may only look after the one that serves.
        for member in programs(pid)? {
            // By this path the binary is the one that runs, even if another has its name by now.
            let exe = PathBuf::from(format!("/proc/{member}/exe"));
            match self.attach_usdt(exe.clone()) {
                // A child may have ended meanwhile.
                Err(_) if member != pid => continue,
                attached => attached?,
            }
            stacks |= self.usdt.brings_app(&exe);
            self.hooks.extend(self.accept.follow(member));
        }
        let found = self.processes.add(Facts { service, stacks }, pid)?;
        self.own.extend(found);
        Ok(())
    }

    fn attach_usdt(&mut self, binary: PathBuf) -> Result<(), TracerError> {
        let reports = self.usdt.attach_binary(&binary)?;
        self.hooks.extend(reports);
        Ok(())
    }

    /// Hands every record that waits to `sink`, oldest first, as a copy that it may change.
    ///
    /// Call it every 20 ms or so: nobody is woken when a record comes. At most one ring's worth is handed
    /// out per call, so that it returns however fast new ones come.
    pub fn drain(&mut self, sink: &mut dyn FnMut(&mut [u8])) {
        for mut record in self.own.drain(..).chain(self.stacks.named()) {
            sink(&mut record);
        }
        let mut handed = 0;
        while handed < self.ring_bytes {
            let Some(record) = self.ring.next() else {
                return;
            };
            handed += record.len();
            self.stacks.note(&record);
            self.scratch.clear();
            self.scratch.extend_from_slice(&record);
            sink(&mut self.scratch);
        }
    }

    /// LOSS and FILTERED records of what was lost and left out since the last call.
    ///
    /// # Errors
    ///
    /// The counters' maps cannot be read.
    pub fn poll_counters(&mut self) -> Result<Vec<Vec<u8>>, TracerError> {
        self.counters.poll()
    }

    /// What every program delivered and lost since the start.
    ///
    /// # Errors
    ///
    /// The counters' map cannot be read.
    pub fn counts(&self) -> Result<Vec<ProgramCounts>, TracerError> {
        self.counters.totals()
    }

    /// The object whose programs these are.
    #[cfg(test)]
    pub(crate) fn object(&self) -> &Ebpf {
        &self.bpf
    }

    /// What became of every hook and probe.
    pub fn hooks(&self) -> &[HookReport] {
        &self.hooks
    }

    /// How often each program ran and for how long; zeros unless [`TracerOptions::time_programs`] was set.
    pub fn stats(&self) -> Vec<ProgramStats> {
        let infos = self
            .bpf
            .programs()
            .filter_map(|(name, program)| Some((name, program.info().ok()?)));
        infos
            .map(|(name, info)| ProgramStats {
                program: name.into(),
                runs: info.run_count(),
                time_ns: info.run_time().as_nanos() as u64,
            })
            .chain(self.usdt.stats())
            .chain(self.accept.stats())
            .collect()
    }
}

/// Why `hook` is not to be taken, if it is not.
fn left_out(options: &TracerOptions, hook: &Hook) -> Option<&'static str> {
    if options.detail == Detail::Lean && hook.event == FILES {
        Some("left out at detail lean")
    } else if options.without.iter().any(|event| event == hook.event) {
        Some("left out as asked for")
    } else {
        None
    }
}
