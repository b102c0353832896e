//! The buffers that a statement looked up are those that PostgreSQL counts for it.

use tierscope_tracer::wire_record::*;

use crate::postgres::{Server, binaries};
use crate::records::Records;
use crate::{can_trace, trace};

const COUNT: &str = "SELECT count(*) FROM pgbench_accounts";

#[test]
fn lookups_of_a_statement_are_the_servers_own_count() {
    if !can_trace() {
        return;
    }
    let Some(bin) = binaries() else { return };
    let server = Server::start(bin);
    let explained = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT YAML) {COUNT}");
    let plain = "SET max_parallel_workers_per_gather = 0";
    // The first time the table's own description is looked up, too.
    let first = server.psql(&[plain, COUNT, &explained]);
    let of = |name: &str| -> u32 {
        let line = first.iter().find_map(|line| line.trim().strip_prefix(name));
        line.expect(name).parse().expect("a number")
    };
    let (hits, reads) = (of("Shared Hit Blocks: "), of("Shared Read Blocks: "));
    assert!(hits + reads > 100, "{first:?}");

    let mut tracer = trace(&[server.pid()]);
    server.psql(&[plain, COUNT, COUNT]);
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let told = records
        .buffers
        .iter()
        .map(|b: &ts_buffers| (b.hits, b.reads));
    let same: Vec<_> = told.filter(|told| *told == (hits, reads)).collect();
    // Of the two, at least the second looks up nothing else.
    assert!(!same.is_empty(), "{:?}", records.buffers);
}
