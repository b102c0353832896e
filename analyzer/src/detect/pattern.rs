//! A changed I/O pattern: more operations, files, bytes or disk requests than the endpoint ever does.

use tierscope_model::Nanos;

use super::Case;
use crate::cause::CauseKind;
use crate::finding::{Finding, Kind};
use crate::limit::Limit;
use crate::profile::Io;
use crate::sketch::Sketch;
use crate::words::{count, grouped, ms};

/// The least cost that is a finding; and 1/20 of the request.
pub(crate) const FLOOR: Nanos = 1_000_000;
/// So many bytes more are worth a word.
const BYTES: u64 = 1 << 20;

struct Measure<'a> {
    what: &'static str,
    value: u64,
    limit: Limit,
    sketch: &'a Sketch,
}

pub(super) fn finding(case: &Case<'_>) -> Option<Finding> {
    let floor = FLOOR.max(case.profile.duration / 20);
    let cost = cost(case);
    let over = measures(case).into_iter().find(|m| m.value > m.limit.limit);
    let over = over.filter(|_| cost >= floor)?;
    let (value, usual) = (grouped(over.value), grouped(over.limit.p50));
    let io = &case.profile.io;
    Some(Finding {
        kind: Kind::IoPattern,
        behind: None,
        of: over.what.to_owned(),
        span: None,
        cost_ns: cost,
        value: over.value,
        normal: over.limit,
        floor_ns: floor,
        p: over.limit.p(Some(over.sketch), over.value),
        sentence: format!(
            "{value} {} for one {}; normally {usual}, p99.9 {} over {} requests. In all {}.",
            over.what,
            case.trace.endpoint,
            grouped(over.limit.top),
            grouped(over.limit.n),
            in_all(io),
        ),
        threshold: format!(
            "more than {} {}, at a cost of {} or more",
            grouped(over.limit.limit),
            over.what,
            ms(floor)
        ),
    })
}

/// E.g. `33 file operations on 1 file, 2,048 bytes, 7 disk requests`; what there is none of is left out.
fn in_all(io: &Io) -> String {
    let files = format!(
        "{} on {}",
        count(io.operations, "file operation"),
        count(io.files, "file")
    );
    let all = [
        (io.operations, files),
        (io.bytes, count(io.bytes, "byte")),
        (io.blocks, count(io.blocks, "disk request")),
    ];
    let some = all.into_iter().filter(|(n, _)| *n > 0);
    some.map(|(_, words)| words).collect::<Vec<_>>().join(", ")
}

fn measures<'a>(case: &Case<'a>) -> [Measure<'a>; 4] {
    let (io, normal, all) = (&case.profile.io, case.normal, case.endpoint);
    let measure = |what, value, limit, sketch| Measure {
        what,
        value,
        limit,
        sketch,
    };
    let bytes = Limit {
        limit: (2 * normal.bytes.top).max(normal.bytes.p50 + BYTES),
        ..normal.bytes
    };
    [
        measure("files", io.files, normal.files, &all.files),
        measure(
            "file operations",
            io.operations,
            normal.operations,
            &all.operations,
        ),
        measure("disk requests", io.blocks, normal.blocks, &all.blocks),
        measure("bytes", io.bytes, bytes, &all.bytes),
    ]
}

/// What files and disks cost over the typical request.
fn cost(case: &Case<'_>) -> Nanos {
    let causes = case.profile.causes.iter();
    let of_files = causes.filter(|(cause, _)| {
        matches!(
            case.names.kind_of(*cause),
            CauseKind::File | CauseKind::Disk
        )
    });
    of_files.map(|(cause, _)| case.cost(*cause)).sum()
}
