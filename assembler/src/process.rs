//! Traced processes, the resource each span carries, and what their kernel could not tell.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tierscope_model::{Process, ProcessChange, Resource, Timestamp};

use crate::passage::Gaps;

/// What is known of each process; entries outlive their process, as spans are made later.
pub(crate) struct Processes {
    services: Vec<String>,
    host: String,
    known: HashMap<u32, Arc<Resource>>,
    exited: HashMap<u32, Timestamp>,
    gaps: Gaps,
}

impl Processes {
    pub(crate) fn new(services: Vec<String>, host: String, gaps: Gaps) -> Processes {
        Processes {
            services,
            host,
            known: HashMap::new(),
            exited: HashMap::new(),
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
            Some(addr) => addr.to_string(),
            None => format!("process {pid}"),
        };
        self.resource(service, String::new(), pid)
    }

    fn resource(&self, service: String, process: String, pid: u32) -> Arc<Resource> {
        Arc::new(Resource {
            service,
            process,
            pid,
            host: self.host.clone(),
        })
    }
}
