//! The traced client: a process of its own that does one socket call per order.

use std::{
    collections::HashMap,
    env,
    io::{self, BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use nix::{
    libc,
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
    },
};
use serde::{Deserialize, Serialize};

use super::seen::Asked;
use crate::support::Answer;

/// Set in the client's own process.
const CLIENT: &str = "TIERSCOPE_HARD_CLIENT";
/// Marks our lines among those of the test harness.
const MARK: char = '@';
/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the client is asked to do.
#[derive(Serialize, Deserialize)]
enum Order {
    Connect(usize, SocketAddr, Socket),
    Send(usize, Vec<u8>),
    /// One read of so many bytes at most.
    Read(usize, usize),
    /// Reads of a size until so many bytes came, each after a pause in ms.
    Drain(usize, usize, usize, u64),
    /// Close; with a reset if true.
    Close(usize, bool),
}

/// What is special about a socket.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Socket {
    /// Size of its receive buffer.
    pub receive_buffer: Option<usize>,
    /// Its first sequence number, by TCP_REPAIR.
    pub sequence: Option<u32>,
}

type Reply = Result<Vec<u8>, String>;

/// The client as the tests see it; ends when dropped.
pub struct Puppet {
    child: Child,
    orders: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
    connections: usize,
}

/// One connection of the client's.
#[derive(Clone, Copy)]
pub struct Line(usize);

impl Puppet {
    pub fn start() -> Self {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args([
                "--ignored",
                "--exact",
                "hard::puppet::client",
                "--nocapture",
            ])
            .env(CLIENT, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let orders = child.stdin.take().expect("its input");
        let replies = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self {
            child,
            orders,
            replies,
            connections: 0,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn order(&mut self, order: &Order) -> Reply {
        let line = serde_json::to_string(order).expect("JSON");
        writeln!(self.orders, "{line}").expect("sent");
        for line in self.replies.by_ref() {
            if let Some((_, reply)) = line.expect("a line").split_once(MARK) {
                return serde_json::from_str(reply).expect(reply);
            }
        }
        panic!("the client ended")
    }

    pub fn connect(&mut self, to: SocketAddr) -> Line {
        self.connect_with(to, Socket::default()).expect("connected")
    }

    /// # Errors
    /// Where the kernel refuses what is special about it.
    pub fn connect_with(&mut self, to: SocketAddr, socket: Socket) -> Result<Line, String> {
        self.connections += 1;
        self.order(&Order::Connect(self.connections, to, socket))?;
        Ok(Line(self.connections))
    }

    pub fn send(&mut self, on: Line, bytes: &[u8]) {
        self.order(&Order::Send(on.0, bytes.to_vec()))
            .expect("sent");
    }

    /// What one read gives; empty at the end of the stream.
    pub fn read(&mut self, on: Line, most: usize) -> Vec<u8> {
        self.order(&Order::Read(on.0, most)).expect("read")
    }

    /// Reads exactly so many bytes, slowly.
    pub fn drain(&mut self, on: Line, bytes: usize, piece: usize, pause: Duration) {
        let pause = pause.as_millis() as u64;
        self.order(&Order::Drain(on.0, bytes, piece, pause))
            .expect("drained");
    }

    pub fn close(&mut self, on: Line) {
        self.order(&Order::Close(on.0, false)).expect("closed");
    }

    pub fn reset(&mut self, on: Line) {
        self.order(&Order::Close(on.0, true)).expect("reset");
    }

    /// One request and its answer.
    pub fn ask(&mut self, on: Line, method: &str, path: &str, headers: &[&str]) -> Asked {
        self.send(on, &request(method, path, headers, ""));
        self.answer(on, method, path)
    }

    /// The next answer, whose request was sent before; none of the one after it is read.
    pub fn answer(&mut self, on: Line, method: &str, path: &str) -> Asked {
        let head = self.head(on);
        let body = length(&head);
        if body > 0 {
            self.drain(on, body, body, Duration::ZERO);
        }
        Asked::new(method, path, &Answer(head))
    }

    /// The head of the next answer, byte by byte so that nothing after it is taken.
    pub fn head(&mut self, on: Line) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.read(on, 1);
            assert!(!byte.is_empty(), "closed in the head");
            head.extend(byte);
        }
        String::from_utf8(head).expect("UTF-8")
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request's bytes.
pub fn request(method: &str, path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: lab\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    if !body.is_empty() {
        text += "Content-Type: application/json\r\n";
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    format!("{text}\r\n{body}").into_bytes()
}

/// The length of the body that a head announces.
pub fn length(head: &str) -> usize {
    let line = head
        .lines()
        .find_map(|l| l.strip_prefix("Content-Length: "));
    line.map_or(0, |length| length.parse().expect("a length"))
}

#[test]
#[ignore = "the traced client of the other tests"]
fn client() {
    if env::var_os(CLIENT).is_none() {
        return;
    }
    let mut streams = HashMap::new();
    for line in io::stdin().lines() {
        let order = serde_json::from_str(&line.expect("a line")).expect("an order");
        let reply: Reply = obey(&mut streams, order).map_err(|error| error.to_string());
        println!("{MARK}{}", serde_json::to_string(&reply).expect("JSON"));
    }
}

fn obey(streams: &mut HashMap<usize, TcpStream>, order: Order) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    let stream = |at: usize| streams[&at].try_clone().expect("a connection");
    match order {
        Order::Connect(at, to, socket) => {
            streams.insert(at, open(to, socket)?);
        }
        Order::Send(at, bytes) => stream(at).write_all(&bytes)?,
        Order::Read(at, most) => {
            read.resize(most, 0);
            let len = stream(at).read(&mut read)?;
            read.truncate(len);
        }
        Order::Drain(at, bytes, piece, pause) => drain(stream(at), bytes, piece, pause)?,
        Order::Close(at, reset) => close(streams.remove(&at).expect("open"), reset)?,
    }
    Ok(read)
}

fn drain(mut stream: TcpStream, bytes: usize, piece: usize, pause: u64) -> io::Result<()> {
    let mut buffer = vec![0; piece];
    let mut left = bytes;
    while left > 0 {
        sleep(Duration::from_millis(pause));
        match stream.read(&mut buffer[..piece.min(left)])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => left -= len,
        }
    }
    Ok(())
}

fn open(to: SocketAddr, special: Socket) -> io::Result<TcpStream> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    if let Some(size) = special.receive_buffer {
        setsockopt(&fd, sockopt::RcvBuf, &size)?;
    }
    // SAFETY: the descriptor is ours and open, and nobody else closes it.
    let stream = unsafe { TcpStream::from_raw_fd(fd.into_raw_fd()) };
    if let Some(sequence) = special.sequence {
        begin_at(&stream, sequence)?;
    }
    connect(stream.as_raw_fd(), &SockaddrStorage::from(to))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Chooses the first sequence number of a socket that is not connected yet.
fn begin_at(stream: &TcpStream, sequence: u32) -> io::Result<()> {
    const SEND_QUEUE: u32 = 2;
    const OFF: u32 = 0;
    for (option, value) in [
        (libc::TCP_REPAIR, 1),
        (libc::TCP_REPAIR_QUEUE, SEND_QUEUE),
        (libc::TCP_QUEUE_SEQ, sequence),
        (libc::TCP_REPAIR, OFF),
    ] {
        let at: *const u32 = &value;
        // SAFETY: the pointer is to four bytes that live through the call.
        let done = unsafe {
            libc::setsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, option, at.cast(), 4)
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn close(stream: TcpStream, reset: bool) -> io::Result<()> {
    if reset {
        let at_once = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&stream, sockopt::Linger, &at_once)?;
    }
    drop(stream);
    Ok(())
}
