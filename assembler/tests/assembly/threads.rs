//! What threads did, and for whom; the files and disks under the work that they were used for.

use tierscope_model::{
    Before, Block, BlockOperation, Body, Buffers, Doing, Evidence, File, FileId, FileName,
    FileOperation, Off, Probe, RequestId, Slice, Span, Switch, Timestamp, Trace, attr,
};

use crate::common::messages::*;
use crate::common::world::{APP, CLIENT, Conn, NGINX, POSTGRES, World};

const USERS: &str = "SELECT name FROM users WHERE id = $1";
const EPOLL_WAIT: u32 = 232;
const TABLE: FileId = FileId { dev: 8, ino: 77 };

/// `tid` of `pid` was off its CPU for `ns`, woken after `asleep` of them.
fn off(world: &mut World, (pid, tid): (u32, u32), ns: (u64, u64), off: Off, wait_event: u32) {
    let off_at = world.now + 1;
    world.now += ns.1;
    world.push(Body::Switch(Switch {
        pid,
        tid,
        off_at: Some(Timestamp(off_at)),
        woken_at: (off != Off::Preempted).then_some(Timestamp(off_at + ns.0)),
        off,
        syscall: Some(EPOLL_WAIT),
        wait_event,
        gap: false,
        unseen: false,
        throttled: false,
        before: Before {
            pid: 4711,
            tid: 4711,
            comm: "hog".into(),
            since: Timestamp(off_at),
            until: Timestamp(world.now),
        },
    }));
}

/// `tid` reads a page of the table, `bytes` of it from the disk.
fn read_file(world: &mut World, (pid, tid): (u32, u32), operation: FileOperation, disk: bool) {
    let start = Timestamp(world.now + 1);
    if disk {
        world.push(Body::Block(Block {
            operation: BlockOperation::Read,
            issued: Timestamp(start.0 + 1),
            dev: 8 << 20,
            sector: 1,
            bytes: 8192,
            error: 0,
            pid,
            tid,
        }));
    }
    world.push(Body::File(File {
        operation,
        file: TABLE,
        start,
        result: 8192,
        offset: Some(0),
        pid,
        tid,
        stack: None,
    }));
}

fn name_file(world: &mut World, path: &str) {
    let path = path.to_owned();
    world.push(Body::FileName(FileName { file: TABLE, path }));
}

fn pg(world: &mut World, probe: Probe, args: [u64; 6]) {
    world.usdt((POSTGRES, POSTGRES), probe, args, "tranche");
}

/// A request with one query; `backend` is what the backend does for it.
fn query(backend: impl FnOnce(&mut World)) -> Trace {
    let mut world = World::new();
    let mut conn = world.postgres([APP, POSTGRES]);
    let me = (POSTGRES, POSTGRES);
    name_file(&mut world, "/base/5/16402");
    off(&mut world, me, (500, 600), Off::Sleeping, 0x0600_0000);
    world.app(APP, Probe::RequestStart, RequestId(1), [0; 2], "GET");
    world.app(APP, Probe::DbQueryStart, RequestId(1), [0; 2], USERS);
    world.say(&mut conn, 0, &run("s1"));
    backend(&mut world);
    // The answer leaves within its call, so that the backend is known to run until then.
    world.sends = 0;
    world.say(&mut conn, 1, &rows(1, 10));
    world.app(APP, Probe::DbQueryEnd, RequestId(1), [0, 1], "");
    world.app(APP, Probe::RequestEnd, RequestId(1), [200, 0], "");
    world.assemble().0.remove(0)
}

fn find<'a>(trace: &'a Trace, name: &str) -> &'a Span {
    let found = trace.spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {trace:#?}"))
}

/// The backend's span: the deepest named `query`.
fn server(trace: &Trace) -> &Span {
    let found = trace.spans.iter().rfind(|span| span.name == "query");
    found.expect("the backend has a span")
}

fn parent<'a>(trace: &'a Trace, span: &Span) -> &'a Span {
    let found = trace
        .spans
        .iter()
        .find(|s| Some(s.span_id) == span.parent_id());
    found.expect("it has a parent")
}

fn tiles(span: &Span) {
    let mut at = span.start;
    for slice in &span.slices {
        assert_eq!(slice.start, at, "{span:#?}");
        at = slice.end;
    }
    assert_eq!(at, span.end, "{span:#?}");
}

fn told(slices: &[Slice]) -> Vec<(Doing, Option<&str>)> {
    slices
        .iter()
        .map(|s| (s.doing, s.reason.as_deref()))
        .collect()
}

#[test]
fn a_backends_time_is_told_to_the_nanosecond() {
    let me = (POSTGRES, POSTGRES);
    let trace = query(|world| {
        off(world, me, (10_000, 12_000), Off::Sleeping, 0x0300_0005);
        off(world, me, (0, 5_000), Off::Preempted, 0);
    });
    let server = server(&trace);
    tiles(server);
    let wanted = [
        (Doing::Running, None),
        (Doing::Waiting, Some("Lock: transactionid")),
        (Doing::Runnable, None),
        (Doing::Running, None),
        (Doing::Runnable, Some("preempted")),
        (Doing::Running, None),
    ];
    assert_eq!(told(&server.slices), wanted);
    assert_eq!(server.slices[4].instead.as_deref(), Some("hog 4711"));
    let sums = [attr::ON_CPU_NS, attr::RUNNABLE_NS, attr::OFF_CPU_NS];
    let sums = sums.map(|key| server.attributes.int(key).expect("it was measured"));
    assert_eq!(sums.iter().sum::<i64>(), server.duration() as i64);
    assert_eq!(sums[2], 10_000);
    let wait = find(&trace, "lock wait");
    assert_eq!(wait.attributes.text(attr::SOURCE), Some("wait event"));
    assert_eq!(wait.duration(), 10_000);
}

#[test]
fn without_switches_nothing_is_said_of_threads() {
    let mut world = World::new();
    let mut conn = world.postgres([APP, POSTGRES]);
    world.app(APP, Probe::RequestStart, RequestId(1), [0; 2], "GET");
    world.app(APP, Probe::DbQueryStart, RequestId(1), [0; 2], USERS);
    world.say(&mut conn, 0, &run("s1"));
    world.say(&mut conn, 1, &rows(1, 10));
    world.app(APP, Probe::RequestEnd, RequestId(1), [200, 0], "");
    let trace = world.assemble().0.remove(0);
    for span in &trace.spans {
        assert!(span.slices.is_empty());
        assert_eq!(span.attributes.get(attr::ON_CPU_NS), None);
    }
}

#[test]
fn a_wait_names_its_lock_and_a_commit_holds_its_flush() {
    let lock = [7431, 0, 0, 0, 5, 5];
    let trace = query(|world| {
        pg(world, Probe::PgExecuteStart, [0; 6]);
        pg(world, Probe::PgModifyStart, [0; 6]);
        pg(world, Probe::PgLockWaitStart, lock);
        pg(world, Probe::PgLockWaitDone, lock);
        pg(world, Probe::PgModifyDone, [0; 6]);
        pg(world, Probe::PgSortStart, [0; 6]);
        pg(world, Probe::PgLwlockWaitStart, [0; 6]);
        pg(world, Probe::PgLwlockWaitDone, [0; 6]);
        pg(world, Probe::PgSortDone, [0; 6]);
        pg(world, Probe::PgExecuteDone, [0; 6]);
        let (pid, tid) = (POSTGRES, POSTGRES);
        let (hits, reads) = (40, 2);
        world.push(Body::Buffers(Buffers {
            pid,
            tid,
            hits,
            reads,
        }));
        pg(world, Probe::PgWalFlushStart, [0; 6]);
        pg(world, Probe::PgWalFlushDone, [0; 6]);
        pg(world, Probe::PgTransactionCommit, [0; 6]);
    });
    let wait = find(&trace, "lock wait");
    assert_eq!(
        wait.attributes.text(attr::LOCK_TAG),
        Some("transaction 7431")
    );
    assert_eq!(parent(&trace, wait).name, "modify rows");
    let lwlock = find(&trace, "lwlock wait");
    assert_eq!(
        lwlock.attributes.text(attr::LWLOCK_TRANCHE),
        Some("tranche")
    );
    assert_eq!(parent(&trace, lwlock).name, "sort");
    assert_eq!(parent(&trace, find(&trace, "WAL flush")).name, "commit");
    let execute = find(&trace, "execute");
    assert_eq!(execute.attributes.int(attr::BUFFER_HITS), Some(40));
    assert_eq!(execute.attributes.int(attr::BUFFER_READS), Some(2));
}

#[test]
fn a_long_scan_is_one_span_of_each_kind() {
    let page = |block| [0, block, 1663, 5, 16402, 8192];
    let me = (POSTGRES, POSTGRES);
    let trace = query(|world| {
        pg(world, Probe::PgExecuteStart, [0; 6]);
        for block in 0..1_000 {
            pg(world, Probe::PgSmgrReadStart, page(block));
            read_file(world, me, FileOperation::Read, true);
            pg(world, Probe::PgSmgrReadDone, page(block));
        }
        pg(world, Probe::PgExecuteDone, [0; 6]);
    });
    let disk = find(&trace, "disk read");
    assert_eq!(disk.attributes.int(attr::COUNT), Some(1_000));
    assert_eq!(disk.attributes.text(attr::DISK_DEVICE), Some("8:0"));
    let file = parent(&trace, disk);
    assert_eq!(file.attributes.text(attr::FILE_PATH), Some("/base/5/16402"));
    assert_eq!(file.attributes.int(attr::BYTES), Some(8_192_000));
    let pages = parent(&trace, file);
    assert_eq!(
        pages.attributes.text(attr::RELATION_FILE),
        Some("1663/5/16402")
    );
    assert_eq!(pages.attributes.int(attr::COUNT), Some(1_000));
    assert_eq!(parent(&trace, pages).name, "execute");
}

/// What the application does with a file while it works for request 1, and after it.
fn handled(work: impl FnOnce(&mut World)) -> (Trace, u64) {
    let mut world = World::new();
    let worker = (APP, APP);
    name_file(&mut world, "/srv/report");
    off(&mut world, worker, (500, 600), Off::Sleeping, 0);
    world.app(APP, Probe::RequestStart, RequestId(1), [0; 2], "GET");
    work(&mut world);
    world.app(APP, Probe::RequestEnd, RequestId(1), [200, 0], "");
    let (mut traces, counts) = world.assemble();
    (traces.remove(0), counts.files_apart)
}

#[test]
fn a_file_is_read_for_the_request_that_the_thread_works_for() {
    let (trace, apart) = handled(|world| {
        world.app(APP, Probe::FileIoStart, RequestId(1), [0; 2], "/srv/report");
        read_file(world, (APP, APP), FileOperation::Read, false);
        world.app(APP, Probe::FileIoEnd, RequestId(1), [8192, 0], "");
        read_file(world, (APP, APP), FileOperation::Write, false);
    });
    let inside = find(&trace, "file read");
    assert!(
        parent(&trace, inside)
            .attributes
            .get(attr::FILE_OPERATION)
            .is_some()
    );
    let evidence = |span: &Span| span.parent.as_ref().map(|link| link.evidence.clone());
    assert!(matches!(evidence(inside), Some(Evidence::Probe(_))));
    let beside = find(&trace, "file write");
    assert_eq!(parent(&trace, beside).name, "handler");
    assert!(matches!(evidence(beside), Some(Evidence::Poll(_))));
    assert_eq!(apart, 0);
}

#[test]
fn after_a_rest_or_another_request_a_thread_is_not_known_to_work_for_it() {
    let (trace, apart) = handled(|world| {
        off(world, (APP, APP), (500, 600), Off::Sleeping, 0);
        read_file(world, (APP, APP), FileOperation::Read, false);
        world.app(APP, Probe::CacheHit, RequestId(2), [0; 2], "key");
        read_file(world, (APP, APP), FileOperation::Read, false);
    });
    assert!(trace.spans.iter().all(|span| span.name != "file read"));
    assert_eq!(apart, 2, "they are counted");
    let handler = find(&trace, "handler");
    let waits = |slice: &Slice| slice.doing != Doing::Running;
    assert!(!handler.slices.iter().any(waits), "{handler:#?}");
    assert!(!handler.slices.is_empty());
}

/// A request through nginx to the application, which worked for another one when it came.
fn hop() -> (Trace, Conn) {
    let mut world = World::new();
    let mut conn = world.http([NGINX, APP]);
    name_file(&mut world, "/var/log/nginx/access.log");
    for pid in [NGINX, APP] {
        off(&mut world, (pid, pid), (500, 600), Off::Sleeping, 0);
    }
    let mut front = world.http([CLIENT, NGINX]);
    world.say(&mut front, 0, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    world.app(
        APP,
        Probe::RequestStart,
        RequestId(0xabcd << 112),
        [0; 2],
        "GET",
    );
    let id = format!("{:032x}", 1);
    let head = format!("GET /a HTTP/1.1\r\nX-Request-ID: {id}\r\nHost: x\r\n\r\n");
    world.write(&mut conn, 0, NGINX, head.as_bytes());
    world.wait(1);
    world.read(&mut conn, 1, APP);
    world.app(APP, Probe::RequestStart, RequestId(1), [0; 2], "GET");
    world.app(APP, Probe::RequestEnd, RequestId(1), [200, 0], "");
    let answer = format!("HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\nContent-Length: 0\r\n\r\n");
    world.say(&mut conn, 1, answer.as_bytes());
    world.write(&mut front, 1, NGINX, answer.as_bytes());
    read_file(&mut world, (NGINX, NGINX), FileOperation::Write, false);
    world.read(&mut front, 0, CLIENT);
    let (mut traces, _) = world.assemble();
    let at = traces
        .iter()
        .position(|t| t.request_id == Some(RequestId(1)));
    (traces.remove(at.expect("the request has a trace")), conn)
}

#[test]
fn a_receive_queue_says_for_whom_its_reader_worked() {
    let (trace, _) = hop();
    let queue = |span: &&Span| {
        span.name == "receive queue"
            && span.attributes.text(attr::DIRECTION) == Some("request")
            && span.slices.iter().any(|slice| slice.tid == APP)
    };
    let queue = trace.spans.iter().find(queue).expect("the app's queue");
    tiles(queue);
    let last = queue.slices.last().expect("it has slices");
    assert_eq!(last.doing, Doing::Running);
    assert_eq!(last.instead.as_deref(), Some("GET /path abcd…"));
}

#[test]
fn nginxs_time_is_shared_and_its_log_line_the_requests() {
    let (trace, _) = hop();
    let log = find(&trace, "file write");
    let server = parent(&trace, log);
    assert_eq!(server.resource.pid, NGINX);
    assert!(!server.slices.is_empty());
    assert!(
        server
            .slices
            .iter()
            .all(|slice| slice.shared && slice.tid == NGINX)
    );
}
