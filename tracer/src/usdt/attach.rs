//! Puts the generic USDT programs on every location of every known probe of a binary.
//!
//! The attachment's cookie is the index of the location's spec, which tells the program where the arguments are.

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aya::maps::{Array, MapData};
use aya::{Btf, Ebpf};

use super::UsdtError;
use super::note::{self, Note};
use super::probe::{APP, POSTGRES, PROBES, Probe};
use super::program::{Places, Program};
use crate::counters::{map_error, take_map};
use crate::hooks::HookReport;
use crate::kernel::chain;
use crate::wire_record::ts_usdt_spec;
use crate::{ProgramStats, TracerError};

type RawSpec = [u8; size_of::<ts_usdt_spec>()];

/// A provider and the program that serves its probes.
struct Provider {
    name: &'static str,
    program_name: &'static str,
    program: Program,
}

/// The attached probes.
pub(crate) struct Usdt {
    providers: [Provider; 2],
    specs: Array<MapData, RawSpec>,
    used: u32,
    /// Binaries that were looked at, by device and inode.
    known: HashSet<(u64, u64)>,
    /// An attachment lasts as long as its link.
    links: Vec<OwnedFd>,
}

impl Provider {
    fn load(
        bpf: &Ebpf,
        btf: &Btf,
        name: &'static str,
        program: &'static str,
    ) -> Result<Self, TracerError> {
        Ok(Self {
            name,
            program_name: program,
            program: Program::load(bpf, btf, program)
                .map_err(|source| TracerError::UsdtProgram { program, source })?,
        })
    }

    fn report(&self, probe: &Probe, binary: &Path, result: Result<usize, String>) -> HookReport {
        let place = fs::read_link(binary).unwrap_or_else(|_| binary.into());
        let place = place.display();
        HookReport {
            event: full_name(probe),
            program: self.program_name.into(),
            kind: "usdt".into(),
            attached: matches!(result, Ok(count) if count > 0),
            detail: match result {
                Ok(0) => format!("{place} does not have it"),
                Ok(count) => format!("{count} location(s) in {place}"),
                Err(error) => format!("{place}: {error}"),
            },
        }
    }
}

impl Usdt {
    /// Loads the two programs and takes the table of specs. All other maps must still be in `bpf`.
    pub(crate) fn new(bpf: &mut Ebpf, btf: &Btf) -> Result<Self, TracerError> {
        let providers = [
            Provider::load(bpf, btf, APP, "usdt_app")?,
            Provider::load(bpf, btf, POSTGRES, "usdt_postgres")?,
        ];
        let specs = take_map(bpf, "specs")?;
        Ok(Self {
            providers,
            specs: specs.try_into().map_err(map_error("specs"))?,
            used: 0,
            known: HashSet::new(),
            links: Vec::new(),
        })
    }

    /// Attaches every known probe of `binary` whose provider it has; nothing for a binary seen before.
    ///
    /// Returns a report per probe: one that the binary lacks or the kernel refuses is not attached.
    ///
    /// # Errors
    ///
    /// The binary cannot be read or is no ELF file.
    pub(crate) fn attach_binary(&mut self, binary: &Path) -> Result<Vec<HookReport>, UsdtError> {
        let meta = fs::metadata(binary).map_err(|source| UsdtError::Read {
            path: binary.into(),
            source,
        })?;
        if !self.known.insert((meta.dev(), meta.ino())) {
            return Ok(Vec::new());
        }
        let notes = note::read(binary)?;
        let mut reports = Vec::new();
        for index in 0..self.providers.len() {
            let name = self.providers[index].name;
            if notes.iter().any(|note| note.provider == name) {
                reports.extend(self.attach_provider(index, binary, &notes));
            }
        }
        Ok(reports)
    }

    /// Attaches the probes of one provider, all by one link.
    fn attach_provider(&mut self, index: usize, binary: &Path, notes: &[Note]) -> Vec<HookReport> {
        let name = self.providers[index].name;
        let mut places = Places::default();
        let probes = PROBES.iter().filter(|probe| probe.provider == name);
        let added: Vec<_> = probes
            .map(|probe| (probe, self.add_locations(probe, notes, &mut places)))
            .collect();
        let provider = &self.providers[index];
        let link = provider.program.attach(binary, &places);
        let refusal = link.as_ref().err().map(|error| chain(error));
        self.links.extend(link);
        added
            .into_iter()
            .map(|(probe, count)| {
                let count = count.map_err(|error| chain(&error));
                let result = count.and_then(|count| refusal.clone().map_or(Ok(count), Err));
                provider.report(probe, binary, result)
            })
            .collect()
    }

    /// Adds every location of one probe to `places`; returns how many there are.
    fn add_locations(
        &mut self,
        probe: &Probe,
        notes: &[Note],
        places: &mut Places,
    ) -> Result<usize, UsdtError> {
        let is_it = |note: &&Note| note.provider == probe.provider && note.name == probe.name;
        let mut count = 0;
        for note in notes.iter().filter(is_it) {
            let cookie = self.add_spec(note, probe)?;
            places.offsets.push(note.offset);
            places.semaphores.push(note.semaphore);
            places.cookies.push(cookie.into());
            count += 1;
        }
        Ok(count)
    }

    /// Tells the kernel side where a location's arguments are; returns the spec's index.
    fn add_spec(&mut self, note: &Note, probe: &Probe) -> Result<u32, UsdtError> {
        let args = note.args.clone().map_err(|source| UsdtError::Arg {
            probe: full_name(probe),
            source,
        })?;
        let spec = ts_usdt_spec {
            probe: probe.id as u16,
            arg_count: args.count,
            text_mask: probe.texts,
            pad: 0,
            args: args.args,
        };
        let raw: RawSpec = zerocopy::transmute!(spec);
        let index = self.used;
        self.specs
            .set(index, raw, 0)
            .map_err(|_| UsdtError::TooMany {
                max: self.specs.len(),
            })?;
        self.used += 1;
        Ok(index)
    }

    /// How often each program ran and for how long.
    pub(crate) fn stats(&self) -> impl Iterator<Item = ProgramStats> {
        self.providers
            .iter()
            .map(|provider| provider.program.stats())
    }
}

fn full_name(probe: &Probe) -> String {
    format!("{}:{}", probe.provider, probe.name)
}
