//! PostgreSQL's waits without its probes: from the wait events under which its process slept.

use tierscope_model::{Doing, Slice, attr};

use crate::phase::Phase;

/// Lock, lwlock and I/O waits among a backend's slices.
pub(crate) fn phases(slices: &[Slice]) -> impl Iterator<Item = Phase> {
    let waits = slices.iter().filter(|slice| slice.doing == Doing::Waiting);
    waits.filter_map(phase)
}

fn phase(slice: &Slice) -> Option<Phase> {
    let reason = slice.reason.as_deref()?;
    let (class, event) = reason.split_once(": ")?;
    let (name, key) = match (class, event) {
        ("Lock", _) => ("lock wait", attr::LOCK_TYPE),
        ("LWLock", _) => ("lwlock wait", attr::LWLOCK_TRANCHE),
        ("IO", "WALSync" | "WALWrite") => ("WAL flush", attr::WAIT_EVENT),
        ("IO", "DataFileRead") => ("page read", attr::WAIT_EVENT),
        ("IO", _) => ("I/O wait", attr::WAIT_EVENT),
        _ => return None,
    };
    let mut phase = Phase::new(name, slice.start, slice.end);
    phase.attributes.set(key, event.to_owned());
    phase.attributes.set(attr::SOURCE, "wait event");
    phase.of = Some(reason.into());
    Some(phase)
}

#[cfg(test)]
mod tests {
    use tierscope_model::Timestamp;

    use super::*;

    #[test]
    fn only_postgresqls_own_waits_are_phases() {
        let slice = |reason: &str| Slice {
            start: Timestamp(1),
            end: Timestamp(5),
            doing: Doing::Waiting,
            tid: 1,
            reason: Some(reason.into()),
            instead: None,
            instead_ns: None,
            shared: false,
        };
        let reasons = [
            "Lock: transactionid",
            "LWLock: WALWrite",
            "IO: WALSync",
            "Client: ClientRead",
            "epoll_wait",
        ];
        let slices: Vec<_> = reasons.into_iter().map(slice).collect();
        let phases: Vec<_> = phases(&slices).collect();
        let names: Vec<_> = phases.iter().map(|phase| phase.name).collect();
        assert_eq!(names, ["lock wait", "lwlock wait", "WAL flush"]);
        let lock = &phases[0].attributes;
        assert_eq!(lock.text(attr::LOCK_TYPE), Some("transactionid"));
        assert_eq!(lock.text(attr::SOURCE), Some("wait event"));
    }
}
