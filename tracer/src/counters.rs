//! The programs' counters, turned into LOSS and FILTERED records of what is new.

use aya::Ebpf;
use aya::maps::{MapData, PerCpuArray};
use zerocopy::IntoBytes;

use crate::TracerError;
use crate::clock;
use crate::misses::Misses;
use crate::wire_record::{
    TS_CPU_UNKNOWN, TS_FILTER_COUNT, TS_KIND_FILTERED, TS_KIND_LOSS, TS_PROGRAM_COUNT, ts_filtered,
    ts_head, ts_loss, ts_program_counters,
};

/// `ts_program_counters` as the map's reader wants it: plain integers.
type RawCounters = [u64; size_of::<ts_program_counters>() / 8];

/// What one program did, on all CPUs: of every event that is to become a record it does one or the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramCounts {
    /// Its number, as in LOSS records.
    pub program: u32,
    /// Records that are, or were, in the ring.
    pub delivered: u64,
    /// Events for which a map or the ring had no room.
    pub lost: u64,
}

/// What was read last, so that the next reading can tell what is new.
pub(crate) struct Counters {
    programs: PerCpuArray<MapData, RawCounters>,
    filters: PerCpuArray<MapData, u64>,
    lost: Vec<Vec<u64>>,
    filtered: Vec<u64>,
    misses: Vec<Misses>,
    polled_at: u64,
}

impl Counters {
    /// Takes the counters' maps out of the object.
    pub(crate) fn new(bpf: &mut Ebpf) -> Result<Self, TracerError> {
        Ok(Self {
            programs: per_cpu_array(bpf, "counters")?,
            filters: per_cpu_array(bpf, "filtered")?,
            lost: vec![Vec::new(); TS_PROGRAM_COUNT as usize],
            filtered: vec![0; TS_FILTER_COUNT as usize],
            misses: Vec::new(),
            polled_at: clock::now().0,
        })
    }

    /// Runs that the kernel left out count as lost from now on.
    pub(crate) fn watch(&mut self, misses: Vec<Misses>) {
        self.misses = misses;
    }

    /// LOSS and FILTERED records of what happened since the last call; none when nothing did.
    pub(crate) fn poll(&mut self) -> Result<Vec<Vec<u8>>, TracerError> {
        let now = clock::now().0;
        let mut records = Vec::new();
        for program in 0..TS_PROGRAM_COUNT {
            self.poll_program(program, now, &mut records)?;
        }
        records.extend(self.poll_misses(now));
        for reason in 0..TS_FILTER_COUNT {
            self.poll_filter(reason, now, &mut records)?;
        }
        self.polled_at = now;
        Ok(records)
    }

    /// What every program did since the start.
    pub(crate) fn totals(&self) -> Result<Vec<ProgramCounts>, TracerError> {
        (0..TS_PROGRAM_COUNT)
            .map(|program| self.total(program))
            .collect()
    }

    fn total(&self, program: u32) -> Result<ProgramCounts, TracerError> {
        let mut total = ProgramCounts {
            program,
            ..Default::default()
        };
        for counters in self.read(program)? {
            total.delivered += counters.delivered;
            total.lost += counters.lost;
        }
        Ok(total)
    }

    /// One program's counters, by CPU.
    fn read(&self, program: u32) -> Result<Vec<ts_program_counters>, TracerError> {
        let per_cpu = self
            .programs
            .get(&program, 0)
            .map_err(map_error("counters"))?;
        Ok(per_cpu
            .iter()
            .map(|raw| zerocopy::transmute!(*raw))
            .collect())
    }

    fn poll_program(
        &mut self,
        program: u32,
        now: u64,
        records: &mut Vec<Vec<u8>>,
    ) -> Result<(), TracerError> {
        let per_cpu = self.read(program)?;
        let known = &mut self.lost[program as usize];
        known.resize(per_cpu.len(), 0);
        for (cpu, counters) in per_cpu.iter().enumerate() {
            if counters.lost > known[cpu] {
                let mut loss = loss(program, cpu, counters, self.polled_at, now);
                loss.count -= known[cpu];
                known[cpu] = counters.lost;
                records.push(loss.as_bytes().to_vec());
            }
        }
        Ok(())
    }

    /// The kernel does not say when, nor on which CPU.
    fn poll_misses(&mut self, now: u64) -> Vec<Vec<u8>> {
        let polled_at = self.polled_at;
        let loss = |misses: &mut Misses| ts_loss {
            head: head::<ts_loss>(TS_KIND_LOSS, now),
            program: misses.program,
            on_cpu: TS_CPU_UNKNOWN,
            count: misses.take(),
            first_ts: polled_at,
            last_ts: now,
        };
        let new = self.misses.iter_mut().map(loss);
        new.filter(|loss| loss.count > 0)
            .map(|loss| loss.as_bytes().to_vec())
            .collect()
    }

    fn poll_filter(
        &mut self,
        reason: u32,
        now: u64,
        records: &mut Vec<Vec<u8>>,
    ) -> Result<(), TracerError> {
        let per_cpu = self
            .filters
            .get(&reason, 0)
            .map_err(map_error("filtered"))?;
        let total: u64 = per_cpu.iter().sum();
        let known = &mut self.filtered[reason as usize];
        if total > *known {
            let record = ts_filtered {
                head: head::<ts_filtered>(TS_KIND_FILTERED, now),
                reason,
                pad: 0,
                count: total - *known,
            };
            *known = total;
            records.push(record.as_bytes().to_vec());
        }
        Ok(())
    }
}

/// The loss of one program on one CPU, all of it. What is new happened after the last poll.
fn loss(
    program: u32,
    cpu: usize,
    counters: &ts_program_counters,
    polled_at: u64,
    now: u64,
) -> ts_loss {
    ts_loss {
        head: head::<ts_loss>(TS_KIND_LOSS, now),
        program,
        on_cpu: cpu as u32,
        count: counters.lost,
        first_ts: counters.lost_first_ts.max(polled_at),
        last_ts: counters.lost_last_ts.max(polled_at),
    }
}

/// The head of a record made in user space.
pub(crate) fn head<Record>(kind: u32, ts: u64) -> ts_head {
    ts_head {
        kind: kind as u16,
        len: size_of::<Record>() as u16,
        cpu: 0,
        ts,
    }
}

/// Names the map in its error.
pub(crate) fn map_error(map: &'static str) -> impl Fn(aya::maps::MapError) -> TracerError {
    move |source| TracerError::Map { map, source }
}

/// Takes the map `name` out of the object.
pub(crate) fn take_map(bpf: &mut Ebpf, name: &'static str) -> Result<aya::maps::Map, TracerError> {
    bpf.take_map(name).ok_or(TracerError::Map {
        map: name,
        source: aya::maps::MapError::InvalidName { name: name.into() },
    })
}

fn per_cpu_array<V: aya::Pod>(
    bpf: &mut Ebpf,
    name: &'static str,
) -> Result<PerCpuArray<MapData, V>, TracerError> {
    take_map(bpf, name)?.try_into().map_err(map_error(name))
}
