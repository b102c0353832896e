//! PostgreSQL's locks in words.

use tierscope_model::{Attributes, attr};

/// `LockTagType` of PostgreSQL's storage/lock.h.
const TYPES: [&str; 11] = [
    "relation",
    "extend",
    "frozenid",
    "page",
    "tuple",
    "transactionid",
    "virtualxid",
    "spectoken",
    "object",
    "userlock",
    "advisory",
];

/// `LOCKMODE` of PostgreSQL's storage/lockdefs.h.
const MODES: [&str; 9] = [
    "none",
    "AccessShare",
    "RowShare",
    "RowExclusive",
    "ShareUpdateExclusive",
    "Share",
    "ShareRowExclusive",
    "Exclusive",
    "AccessExclusive",
];

/// What a lock of this type is on.
pub(crate) fn type_name(number: u64) -> &'static str {
    name(&TYPES, number)
}

/// An LWLock's mode: `LWLockMode` of storage/lwlock.h.
pub(crate) fn lwlock_mode(number: u64) -> &'static str {
    name(&["Exclusive", "Shared", "wait until free"], number)
}

fn name(names: &[&'static str], number: u64) -> &'static str {
    let known = usize::try_from(number).ok().and_then(|at| names.get(at));
    known.copied().unwrap_or("other")
}

/// Which lock, from the probe's arguments: the tag's four fields, type and mode.
pub(crate) fn attributes(args: &[u64; 6]) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.set(attr::LOCK_TYPE, type_name(args[4]));
    attributes.set(attr::LOCK_MODE, name(&MODES, args[5]));
    attributes.set(attr::LOCK_TAG, tag(args));
    attributes
}

fn tag(args: &[u64; 6]) -> String {
    let [a, b, c, d, kind, _] = args;
    match type_name(*kind) {
        "relation" => format!("relation {b} of database {a}"),
        "extend" => format!("extension of relation {b} of database {a}"),
        "frozenid" => format!("frozen transaction ids of database {a}"),
        "page" => format!("page {c} of relation {b} of database {a}"),
        "tuple" => format!("tuple ({c},{d}) of relation {b} of database {a}"),
        "transactionid" => format!("transaction {a}"),
        "virtualxid" => format!("virtual transaction {a}/{b}"),
        "spectoken" => format!("speculative insertion {b} of transaction {a}"),
        "object" => format!("object {c} of class {b} of database {a}"),
        "advisory" => format!("advisory lock {b}/{c}/{d} of database {a}"),
        other => format!("{other} {a}/{b}/{c}/{d}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_lock() {
        let lock = attributes(&[7431, 0, 0, 0, 5, 5]);
        assert_eq!(lock.text(attr::LOCK_TYPE), Some("transactionid"));
        assert_eq!(lock.text(attr::LOCK_MODE), Some("Share"));
        assert_eq!(lock.text(attr::LOCK_TAG), Some("transaction 7431"));
        let lock = attributes(&[5, 16402, 3, 7, 4, 7]);
        let tuple = "tuple (3,7) of relation 16402 of database 5";
        assert_eq!(lock.text(attr::LOCK_TAG), Some(tuple));
        assert_eq!(
            attributes(&[1, 2, 3, 4, 99, 99]).text(attr::LOCK_TAG),
            Some("other 1/2/3/4")
        );
    }
}
