//! Traced processes, the resource each span carries, and what their kernel could not tell.

use std::net::SocketAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smol_str::{ToSmolStr, format_smolstr};
use tierscope_model::{Process, ProcessChange, Resource, SmolStr, Timestamp};

use crate::passage::Gaps;

/// What is known of each process; entries outlive their process, as spans are made later.
pub(crate) struct Processes {
    services: Vec<SmolStr>,
    host: SmolStr,
    known: FxHashMap<u32, Arc<Resource>>,
    exited: FxHashMap<u32, Timestamp>,
    gaps: Gaps,
}

impl Processes {
    pub(crate) fn new(services: Vec<String>, host: String, gaps: Gaps) -> Processes {
        Processes {
            services: services.into_iter().map(SmolStr::from).collect(),
            host: host.into(),
            known: FxHashMap::default(),
            exited: FxHashMap::default(),
            gaps,
        }
    }

    /// What their kernel had no hook for.
    pub(crate) fn gaps(&self) -> Gaps {
        self.gaps
    }

    pub(crate) fn change(&mut self, process: &Process, time: Timestamp) {
        if process.change == ProcessChange::Exit {
            self.exited.insert(process.pid, time);
            return;
        }
        self.exited.remove(&process.pid);
        let service = match self.services.get(process.service as usize) {
            Some(name) => name.clone(),
            None => process.comm.clone(),
        };
        let resource = self.resource(service, process.comm.clone(), process.pid);
        self.known.insert(process.pid, resource);
    }

    /// Forgets the processes that exited before `time`.
    pub(crate) fn forget(&mut self, time: Timestamp) {
        let gone = self.exited.extract_if(|_, exited| *exited < time);
        for (pid, _) in gone {
            self.known.remove(&pid);
        }
    }

    /// The process's resource; one that was not announced (it is not traced, or its record was lost) is
    /// named by its address.
    pub(crate) fn get(&self, pid: u32, local: Option<SocketAddr>) -> Arc<Resource> {
        if let Some(known) = self.known.get(&pid) {
            return known.clone();
        }
        let service = match local {
            Some(addr) => addr.to_smolstr(),
            None => format_smolstr!("process {pid}"),
        };
        self.resource(service, SmolStr::default(), pid)
    }

    fn resource(&self, service: SmolStr, process: SmolStr, pid: u32) -> Arc<Resource> {
        Arc::new(Resource {
            service,
            process,
            pid,
            host: self.host.clone(),
        })
    }
}
