//! Puts the generic USDT programs on every location of every known probe of a binary.
//!
//! The attachment's cookie is the index of the location's spec, which tells the program where the arguments are.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;

use aya::maps::{Array, MapData};
use aya::{Btf, Ebpf};
use object::ReadCache;

use super::UsdtError;
use super::arg::Args;
use super::note::{self, Note};
use super::probe::{APP, POSTGRES, PROBES, Probe, Site};
use super::program::{Places, Program};
use crate::counters::{map_error, take_map};
use crate::hooks::HookReport;
use crate::inode::{Inode, Inodes};
use crate::kernel::chain;
use crate::wire_record::ts_usdt_spec;
use crate::{Detail, ProgramStats, TracerError};

type RawSpec = [u8; size_of::<ts_usdt_spec>()];

/// Probes of one provider and the program that serves them.
struct Family {
    provider: &'static str,
    probes: Vec<&'static Probe>,
    program_name: &'static str,
    program: Program,
}

/// The attached probes.
pub(crate) struct Usdt {
    families: Vec<Family>,
    specs: Array<MapData, RawSpec>,
    used: u32,
    /// Binaries that were looked at.
    known: Inodes,
    /// Those of them that have the application's probes.
    apps: Inodes,
    /// An attachment lasts as long as its link.
    links: Vec<OwnedFd>,
}

/// A binary under attachment.
struct Binary<'a> {
    path: &'a Path,
    data: &'a ReadCache<File>,
    notes: Vec<Note>,
}

/// A location of a probe: in the file, of its semaphore, and its arguments.
struct Location {
    offset: u64,
    semaphore: u64,
    args: Args,
}

impl Family {
    fn load(
        bpf: &Ebpf,
        btf: &Btf,
        program: &'static str,
        probes: impl Iterator<Item = &'static Probe>,
    ) -> Result<Self, TracerError> {
        let probes: Vec<_> = probes.collect();
        Ok(Self {
            provider: probes.first().map_or("", |probe| probe.provider),
            probes,
            program_name: program,
            program: Program::load(bpf, btf, program)
                .map_err(|source| TracerError::UsdtProgram { program, source })?,
        })
    }

    fn report(&self, probe: &Probe, binary: &Path, result: Result<usize, String>) -> HookReport {
        let place = fs::read_link(binary).unwrap_or_else(|_| binary.into());
        let place = place.display();
        HookReport {
            event: probe.full_name(),
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
    /// Loads the programs and takes the table of specs. All other maps must still be in `bpf`.
    pub(crate) fn new(bpf: &mut Ebpf, btf: &Btf, detail: Detail) -> Result<Self, TracerError> {
        let of = |name| PROBES.iter().filter(move |probe| probe.provider == name);
        let mut families = vec![Family::load(bpf, btf, "usdt_app", of(APP))?];
        if detail == Detail::Full {
            families.push(Family::load(bpf, btf, "usdt_postgres", of(POSTGRES))?);
        }
        let specs = take_map(bpf, "specs")?;
        Ok(Self {
            families,
            specs: specs.try_into().map_err(map_error("specs"))?,
            used: 0,
            known: Inodes::default(),
            apps: Inodes::default(),
            links: Vec::new(),
        })
    }

    /// Attaches every known probe of the binary at `path` whose provider it has; nothing for a binary seen before.
    ///
    /// Returns a report per probe: one that the binary lacks or the kernel refuses is not attached.
    ///
    /// # Errors
    ///
    /// The binary cannot be read or is no ELF file.
    pub(crate) fn attach_binary(&mut self, path: &Path) -> Result<Vec<HookReport>, UsdtError> {
        let read_error = |source| UsdtError::Read {
            path: path.into(),
            source,
        };
        let inode = Inode::at(path).map_err(read_error)?;
        if !self.known.insert(inode) {
            return Ok(Vec::new());
        }
        let data = note::open(path).map_err(read_error)?;
        let notes = note::parse(&data).map_err(|source| UsdtError::Elf {
            path: path.into(),
            source,
        })?;
        if notes.iter().any(|note| note.provider == APP) {
            self.apps.insert(inode);
        }
        let data = &data;
        let binary = Binary { path, data, notes };
        let mut reports = Vec::new();
        for index in 0..self.families.len() {
            let provider = self.families[index].provider;
            if binary.notes.iter().any(|note| note.provider == provider) {
                reports.extend(self.attach_family(index, &binary, false));
                reports.extend(self.attach_family(index, &binary, true));
            }
        }
        Ok(reports)
    }

    /// Whether the binary at `path` was found to have the application's probes.
    pub(crate) fn brings_app(&self, path: &Path) -> bool {
        Inode::at(path).is_ok_and(|inode| self.apps.contains(&inode))
    }

    /// Attaches those probes of one family that are, or are not, at returns, all by one link.
    fn attach_family(
        &mut self,
        index: usize,
        binary: &Binary<'_>,
        at_return: bool,
    ) -> Vec<HookReport> {
        let mut places = Places {
            at_return,
            ..Places::default()
        };
        let mut probes = self.families[index].probes.clone();
        probes.retain(|probe| (probe.site == Site::Return) == at_return);
        if probes.is_empty() {
            return Vec::new();
        }
        let added: Vec<_> = probes
            .into_iter()
            .map(|probe| (probe, self.add_locations(probe, binary, &mut places)))
            .collect();
        let family = &self.families[index];
        let link = family.program.attach(binary.path, &places);
        let refusal = link.as_ref().err().map(|error| chain(error));
        self.links.extend(link.into_iter().flatten());
        added
            .into_iter()
            .map(|(probe, count)| {
                let count = count.map_err(|error| chain(&error));
                let result = count.and_then(|count| refusal.clone().map_or(Ok(count), Err));
                family.report(probe, binary.path, result)
            })
            .collect()
    }

    /// Adds every location of one probe to `places`; returns how many there are.
    fn add_locations(
        &mut self,
        probe: &Probe,
        binary: &Binary<'_>,
        places: &mut Places,
    ) -> Result<usize, UsdtError> {
        let locations = binary.locations(probe)?;
        for location in &locations {
            let cookie = self.add_spec(location, probe)?;
            places.offsets.push(location.offset);
            places.semaphores.push(location.semaphore);
            places.cookies.push(cookie.into());
        }
        Ok(locations.len())
    }

    /// Tells the kernel side where a location's arguments are; returns the spec's index.
    fn add_spec(&mut self, location: &Location, probe: &Probe) -> Result<u32, UsdtError> {
        let (args, arg_count) = location.args.kept(probe.sixth);
        let spec = ts_usdt_spec {
            probe: probe.id as u16,
            arg_count,
            text_mask: probe.texts,
            pad: 0,
            args,
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
        self.families.iter().map(|family| family.program.stats())
    }
}

impl Binary<'_> {
    /// Every location of one probe.
    fn locations(&self, probe: &Probe) -> Result<Vec<Location>, UsdtError> {
        if probe.site != Site::Usdt {
            return self.function(probe.name);
        }
        let is_it = |note: &&Note| note.provider == probe.provider && note.name == probe.name;
        let location = |note: &Note| {
            Ok(Location {
                offset: note.offset,
                semaphore: note.semaphore,
                args: note.args.clone().map_err(|source| UsdtError::Arg {
                    probe: probe.full_name(),
                    source,
                })?,
            })
        };
        self.notes.iter().filter(is_it).map(location).collect()
    }

    /// The function `name`, if the binary exports it. Its arguments are not looked at.
    fn function(&self, name: &str) -> Result<Vec<Location>, UsdtError> {
        let offset = note::function(self.data, name).map_err(|source| UsdtError::Elf {
            path: self.path.into(),
            source,
        })?;
        let location = |offset| Location {
            offset,
            semaphore: 0,
            args: Args::default(),
        };
        Ok(offset.map(location).into_iter().collect())
    }
}
