//! The traced processes: this test program again, started as one test that talks to itself over loopback.

use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::socket::{self as net, AddressFamily, SockFlag, SockType, SockaddrIn, socket};

use crate::{behind, blocks, early, files, quota, sampled, sched, stacks, uring};

const NAME: &str = "TIERSCOPE_WORKLOAD";

/// A workload in a process of its own. It does nothing until told to go on.
pub struct Workload {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    ports: Vec<u16>,
}

impl Workload {
    /// Starts the workload `name` and waits until it is ready to be traced.
    pub fn start(name: &str) -> Self {
        let mut child = command(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawn");
        let input = child.stdin.take().expect("stdin");
        let output = BufReader::new(child.stdout.take().expect("stdout"));
        let mut workload = Self {
            child,
            input,
            output,
            ports: Vec::new(),
        };
        assert_eq!(workload.read_ports(), "ready");
        workload
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it run to its end; returns the ports of the clients that it connected, in order.
    pub fn run(mut self) -> Vec<u16> {
        self.input.write_all(b"go\n").expect("go");
        assert_eq!(self.read_ports(), "");
        assert!(self.child.wait().expect("wait").success());
        self.ports
    }

    /// Lets it run to its end; returns the lines that it said.
    pub fn run_and_read(mut self) -> Vec<String> {
        self.input.write_all(b"go\n").expect("go");
        let said = std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty()));
        let lines = said.collect();
        assert!(self.child.wait().expect("wait").success());
        lines
    }

    /// Lets it go on to its next gate; returns the lines that it said.
    pub fn go_on(&mut self) -> Vec<String> {
        self.input.write_all(b"go\n").expect("go");
        let said = std::iter::from_fn(|| {
            Some(self.line()).filter(|line| line != "ready" && !line.is_empty())
        });
        said.collect()
    }

    /// Notes ports down until another line comes, which it returns.
    fn read_ports(&mut self) -> String {
        loop {
            let line = self.line();
            match line.strip_prefix("client ") {
                Some(port) => self.ports.push(port.parse().expect("port")),
                None => return line,
            }
        }
    }

    /// The next line meant for us; the test harness prints its own as well. Empty at the end.
    fn line(&mut self) -> String {
        for line in self.output.by_ref().lines() {
            if let Some((_, line)) = line.expect("line").split_once('@') {
                return line.to_owned();
            }
        }
        String::new()
    }
}

fn command(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--ignored", "--exact", "workload::child", "--nocapture"])
        .env(NAME, name);
    command
}

#[test]
#[ignore = "the traced process of the other tests"]
fn child() {
    let name = std::env::var(NAME).unwrap_or_default();
    if name.is_empty() {
        return;
    }
    // Bytes sent that are not in memory cannot be captured; code that is not is read from a device meanwhile.
    mlockall(MlockAllFlags::MCL_CURRENT).expect("all in memory");
    match name.as_str() {
        "keep_alive" => keep_alive(),
        "gathered" => gathered(),
        "sendfile" => sendfile(),
        "large" => large(),
        "half_close" => half_close(),
        "ipv6" => ipv6(),
        "found" => found(),
        "early_child" => early_child(),
        "late_child" => late_child(),
        "lossy" => lossy(),
        "held_back" => held_back(),
        "spliced" => spliced(),
        "refused" => refused(),
        "peek" => peek(),
        "two_writers" => two_writers(),
        "cut_short" => cut_short(),
        "in_flight" => in_flight(),
        "many" => many(),
        "files" => files::calls(),
        "bound" => files::bound(),
        "blocks" => blocks::asked(),
        "wrapped" => wrapped(),
        "zero_copy" => zero_copy(),
        "spliced_in" => spliced_in(),
        "uring" => uring::exchange(),
        "hogs" => sched::hogs(),
        "ticks" => behind::ticks(),
        "spins" => quota::spins(),
        "sampled" => sampled::requests(),
        "sleeps" => sched::sleeps(),
        "ways" => stacks::every_way(),
        "naps" => early::naps(),
        other => panic!("no workload {other}"),
    }
}

pub(crate) fn say(line: impl std::fmt::Display) {
    println!("@{line}");
}

/// Says that it is ready, and waits to be told to go on.
pub(crate) fn gate() {
    say("ready");
    let mut line = String::new();
    io::stdin().read_line(&mut line).expect("go");
}

pub(crate) fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind")
}

/// A connection: the client's end, then the server's.
pub(crate) fn connect(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    say(format_args!(
        "client {}",
        client.local_addr().expect("address").port()
    ));
    let server = listener.accept().expect("accept").0;
    (client, server)
}

/// One request and its answer.
pub(crate) fn exchange(
    client: &mut TcpStream,
    server: &mut TcpStream,
    request: &[u8],
    answer: &[u8],
) {
    client.write_all(request).expect("request");
    server
        .read_exact(&mut vec![0; request.len()])
        .expect("request");
    server.write_all(answer).expect("answer");
    client
        .read_exact(&mut vec![0; answer.len()])
        .expect("answer");
}

/// The server's end closes first, then the client reads the end of the stream, twice.
pub(crate) fn finish(mut client: TcpStream, server: TcpStream) {
    drop(server);
    for _ in 0..2 {
        assert_eq!(client.read(&mut [0; 16]).expect("end"), 0);
    }
}

pub const KEEP_ALIVE_REQUESTS: usize = 20;

pub fn request(i: usize) -> String {
    format!("GET /item/{i} HTTP/1.1\r\nHost: lab\r\n\r\n")
}

pub const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn keep_alive_over(listener: &TcpListener) {
    let (mut client, mut server) = connect(listener);
    for i in 0..KEEP_ALIVE_REQUESTS {
        exchange(
            &mut client,
            &mut server,
            request(i).as_bytes(),
            ANSWER.as_bytes(),
        );
    }
    finish(client, server);
}

fn keep_alive() {
    gate();
    keep_alive_over(&listen());
}

fn ipv6() {
    gate();
    keep_alive_over(&TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("bind"));
}

/// Segments of the gathered sends: one fits the capture, one has more segments than are looked at, and of
/// one only the end lies beyond them.
pub const FEW: [&str; 3] = ["HTTP/1.1 200 OK\r\n", "Content-Length: 4\r\n\r\n", "body"];
pub const MANY_SEGMENTS: usize = 12;
pub const LONG: [u8; 1000] = [b'x'; 1000];

fn gathered() {
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    let few = FEW.map(|part| IoSlice::new(part.as_bytes()));
    let sent = server.write_vectored(&few).expect("few");
    client.read_exact(&mut vec![0; sent]).expect("few");
    let many = [IoSlice::new(b"0123456789"); MANY_SEGMENTS];
    let sent = server.write_vectored(&many).expect("many");
    client.read_exact(&mut vec![0; sent]).expect("many");
    let mut long = [IoSlice::new(b"0123456789"); MANY_SEGMENTS];
    long[0] = IoSlice::new(&LONG);
    let sent = server.write_vectored(&long).expect("long");
    client.read_exact(&mut vec![0; sent]).expect("long");
    finish(client, server);
}

pub const FILE_BYTES: usize = 10_000;

fn sendfile() {
    let mut file = tempfile::tempfile().expect("file");
    file.write_all(&[b'f'; FILE_BYTES]).expect("fill");
    io::Seek::rewind(&mut file).expect("rewind");
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    server.write_all(ANSWER.as_bytes()).expect("head");
    // SAFETY: both descriptors are open; the offset is the file's own.
    let sent = unsafe {
        libc::sendfile(
            server.as_raw_fd(),
            file.as_raw_fd(),
            std::ptr::null_mut(),
            FILE_BYTES,
        )
    };
    assert_eq!(sent, FILE_BYTES as isize);
    client
        .read_exact(&mut vec![0; ANSWER.len() + FILE_BYTES])
        .expect("all");
    finish(client, server);
}

pub const LARGE_BYTES: usize = 4 << 20;

/// A body of which every 8 bytes differ.
fn large_body() -> Vec<u8> {
    (0..LARGE_BYTES as u64 / 8)
        .flat_map(u64::to_be_bytes)
        .collect()
}

/// Larger than the socket buffers, so that the one write waits for a reader who takes his time.
fn large() {
    gate();
    let (client, server) = large_answer();
    finish(client, server);
}

/// One write of [`LARGE_BYTES`] by the server, read by the client.
fn large_answer() -> (TcpStream, TcpStream) {
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    let writer = thread::spawn(move || {
        assert_eq!(server.write(&large_body()).expect("write"), LARGE_BYTES);
        server
    });
    let mut left = LARGE_BYTES;
    let mut buffer = vec![0; 10_000];
    while left > 0 {
        left -= client.read(&mut buffer).expect("read");
        if left > LARGE_BYTES - 200_000 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    (client, writer.join().expect("writer"))
}

pub const HALF_CLOSED: (&str, &str) = ("last words", "an answer after the FIN");

fn half_close() {
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    client.write_all(HALF_CLOSED.0.as_bytes()).expect("words");
    client.shutdown(Shutdown::Write).expect("shutdown");
    let mut heard = String::new();
    server.read_to_string(&mut heard).expect("heard");
    server.write_all(HALF_CLOSED.1.as_bytes()).expect("answer");
    drop(server);
    client.read_to_string(&mut heard).expect("answer");
}

/// Connected, and used, before tracing begins; the listener accepts one more afterwards.
fn found() {
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    exchange(
        &mut client,
        &mut server,
        b"GET /before HTTP/1.1\r\n\r\n",
        ANSWER.as_bytes(),
    );
    gate();
    exchange(
        &mut client,
        &mut server,
        request(0).as_bytes(),
        ANSWER.as_bytes(),
    );
    finish(client, server);
    keep_alive_over(&listener);
}

/// Forks a child before it is traced, which does the work afterwards.
fn early_child() {
    let child = Workload::start("keep_alive");
    gate();
    child.run();
}

/// Forks a child once traced, which does the work.
fn late_child() {
    gate();
    let mut child = command("keep_alive")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("spawn");
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(b"go\n")
        .expect("go");
    assert!(child.wait().expect("wait").success());
}

/// A network of its own in which packets get lost on arrival; a queue that is full would be a failed send.
fn lossy() {
    dropping("ingress", "tc");
    gate();
    let (client, server) = large_answer();
    finish(client, server);
}

pub const HELD_BACK_BYTES: usize = 3_000;

/// Another one in which large packets are dropped before they leave, until the first one was.
fn held_back() {
    dropping("egress", "all");
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    exchange(&mut client, &mut server, b"a request", b"its answer");
    client.write_all(&[b'x'; HELD_BACK_BYTES]).expect("write");
    run("tc filter del dev lo egress");
    server.read_exact(&mut [0; HELD_BACK_BYTES]).expect("read");
    finish(client, server);
}

/// Moves the process to a network of its own, in which a classifier of `drop.c` stands at the device.
fn dropping(way: &str, section: &str) {
    // SAFETY: it moves this process alone to a new network namespace.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
    let directory = tempfile::tempdir().expect("directory");
    let object = directory.path().join("drop.o");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernel/drop.c");
    run(&format!(
        "clang -target bpf -O2 -g -c {source} -o {}",
        object.display()
    ));
    run("ip link set lo up");
    run("tc qdisc add dev lo clsact");
    run(&format!(
        "tc filter add dev lo {way} bpf da obj {} sec {section}",
        object.display()
    ));
}

pub(crate) fn run(command: &str) {
    let mut words = command.split(' ');
    let program = words.next().expect("program");
    let status = Command::new(program)
        .args(words)
        .stdout(Stdio::null())
        .status();
    assert!(status.expect(program).success(), "{command}");
}

pub const SPLICED_BYTES: usize = 300;

/// Takes the first bytes out of the socket without reading them.
fn spliced() {
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    exchange(
        &mut client,
        &mut server,
        b"a read before",
        b"and its answer",
    );
    let (_taken, into) = io::pipe().expect("pipe");
    client.write_all(&[b's'; SPLICED_BYTES]).expect("write");
    let null = std::ptr::null_mut();
    // SAFETY: both descriptors are open; neither has an offset.
    let moved = unsafe {
        libc::splice(
            server.as_raw_fd(),
            null,
            into.as_raw_fd(),
            null,
            SPLICED_BYTES,
            0,
        )
    };
    assert_eq!(moved, SPLICED_BYTES as isize);
    exchange(&mut client, &mut server, b"a read after", b"and its answer");
    finish(client, server);
}

/// Nobody listens at the port; a datagram passes by.
fn refused() {
    let address: SocketAddr = listen().local_addr().expect("address");
    gate();
    assert!(TcpStream::connect(address).is_err());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    socket
        .send_to(b"datagram", socket.local_addr().expect("address"))
        .expect("send");
    assert_eq!(socket.recv(&mut [0; 16]).expect("recv"), 8);
}

fn peek() {
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    client.write_all(b"twice read").expect("write");
    assert_eq!(server.peek(&mut [0; 16]).expect("peek"), 10);
    server.read_exact(&mut [0; 10]).expect("read");
    server.set_nonblocking(true).expect("nonblocking");
    assert!(server.read(&mut [0; 16]).is_err());
    finish(client, server);
}

pub const WRITERS: u32 = 2;

/// Two threads in large writes on one socket at once: each waits for room, so the kernel interleaves them.
fn two_writers() {
    gate();
    let listener = listen();
    let (mut client, server) = connect(&listener);
    let body = large_body();
    let begun = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                begun.fetch_add(1, Ordering::Relaxed);
                assert_eq!((&server).write(&body).expect("write"), LARGE_BYTES);
            });
        }
        while begun.load(Ordering::Relaxed) < WRITERS {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(50));
        client
            .read_exact(&mut vec![0; WRITERS as usize * LARGE_BYTES])
            .expect("read");
    });
    finish(client, server);
}

/// A write that the socket takes only a part of, and more of them until it takes nothing.
fn cut_short() {
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    server.set_nonblocking(true).expect("nonblocking");
    let body = vec![b'x'; 4 * LARGE_BYTES];
    let mut sent = server.write(&body).expect("write");
    assert!(sent < body.len());
    while let Ok(more) = server.write(&body) {
        sent += more;
    }
    client.read_exact(&mut vec![0; sent]).expect("read");
    finish(client, server);
}

/// Tracing begins while a write waits for room.
fn in_flight() {
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    let writer = thread::spawn(move || {
        assert_eq!(server.write(&large_body()).expect("write"), LARGE_BYTES);
        server
    });
    thread::sleep(Duration::from_millis(50));
    gate();
    client.read_exact(&mut vec![0; LARGE_BYTES]).expect("read");
    finish(client, writer.join().expect("writer"));
}

pub const MANY_EXCHANGES: usize = 5_000;

/// Enough events to fill a small ring, and to time the programs.
fn many() {
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    for i in 0..MANY_EXCHANGES {
        exchange(
            &mut client,
            &mut server,
            request(i).as_bytes(),
            ANSWER.as_bytes(),
        );
    }
    finish(client, server);
}

/// As many bytes before the sequence numbers begin again.
const BEFORE_WRAP: u32 = 3000;
pub const WRAPPING_BYTES: usize = 100_000;

/// A client whose numbers wrap in the middle of its first send: as for a connection that is restored,
/// the kernel lets itself be told where they begin.
fn wrapped() {
    let listener = listen();
    let socket = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::empty(),
        None,
    )
    .expect("socket");
    const SEND_QUEUE: libc::c_int = 2;
    const OFF_WITHOUT_PROBE: libc::c_int = -1;
    let first = 0u32.wrapping_sub(BEFORE_WRAP) as libc::c_int;
    for (option, value) in [
        (libc::TCP_REPAIR, 1),
        (libc::TCP_REPAIR_QUEUE, SEND_QUEUE),
        (libc::TCP_QUEUE_SEQ, first),
        (libc::TCP_REPAIR, OFF_WITHOUT_PROBE),
    ] {
        set_option(&socket, libc::IPPROTO_TCP, option, value);
    }
    gate();
    let SocketAddr::V4(address) = listener.local_addr().expect("address") else {
        panic!("not IPv4");
    };
    net::connect(socket.as_raw_fd(), &SockaddrIn::from(address)).expect("connect");
    let mut client = TcpStream::from(socket);
    say(format_args!(
        "client {}",
        client.local_addr().expect("address").port()
    ));
    let mut server = listener.accept().expect("accept").0;
    exchange(
        &mut client,
        &mut server,
        &[b'w'; WRAPPING_BYTES],
        ANSWER.as_bytes(),
    );
    finish(client, server);
}

fn set_option(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) {
    // SAFETY: the value is an int that lives as long as the call, and its length is given.
    let set = unsafe {
        let value: *const libc::c_int = &value;
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), level, option, value.cast(), length)
    };
    assert_eq!(set, 0, "option {option}: {}", io::Error::last_os_error());
}

pub const ZERO_COPY_BYTES: usize = 100_000;

/// The kernel sends out of the caller's own pages.
fn zero_copy() {
    gate();
    let listener = listen();
    let (mut client, server) = connect(&listener);
    set_option(&server, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1);
    let body = [b'z'; ZERO_COPY_BYTES];
    // SAFETY: the descriptor is open; the pages stay as they are until the peer has read them.
    let sent = unsafe {
        libc::send(
            server.as_raw_fd(),
            body.as_ptr().cast(),
            body.len(),
            libc::MSG_ZEROCOPY,
        )
    };
    assert_eq!(sent, ZERO_COPY_BYTES as isize);
    client
        .read_exact(&mut vec![0; ZERO_COPY_BYTES])
        .expect("read");
    finish(client, server);
}

/// Bytes that reach the socket out of a pipe.
fn spliced_in() {
    gate();
    let listener = listen();
    let (mut client, mut server) = connect(&listener);
    server.write_all(ANSWER.as_bytes()).expect("head");
    let (from, mut into) = io::pipe().expect("pipe");
    into.write_all(&[b's'; SPLICED_BYTES]).expect("fill");
    let null = std::ptr::null_mut();
    // SAFETY: both descriptors are open; neither has an offset.
    let moved = unsafe {
        libc::splice(
            from.as_raw_fd(),
            null,
            server.as_raw_fd(),
            null,
            SPLICED_BYTES,
            0,
        )
    };
    assert_eq!(moved, SPLICED_BYTES as isize);
    server.write_all(b"the end").expect("end");
    client
        .read_exact(&mut vec![0; ANSWER.len() + SPLICED_BYTES + 7])
        .expect("all");
    finish(client, server);
}
