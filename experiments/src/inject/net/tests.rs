//! The faults on a real connection, in a network of the test's own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::time::{Duration, Instant};

use super::queued::{Queued, What};
use super::rules::Hook;
use super::send_failure::Refuser;
use super::shape::{Shaper, Wait};
use super::way::Way;
use super::whose::{Protocol, Talk};
use crate::inject::{Hit, Injector, owner};

const MS: u64 = 1_000_000;
/// Bytes of an answer.
const ANSWER: usize = 67;

/// A client and a server that answers each request with `HTTP/1.1 200`, in an empty network.
struct Pair {
    client: TcpStream,
    way: Way,
    sent: u32,
}

impl Pair {
    /// A round trip; how long it took.
    fn ask(&mut self) -> Duration {
        self.sent += 1;
        let begun = Instant::now();
        let id = id(self.sent);
        let request = format!("GET / HTTP/1.1\r\nX-Request-ID: {id}\r\n\r\n");
        self.client.write_all(request.as_bytes()).expect("sent");
        let mut answer = [0; ANSWER];
        self.client.read_exact(&mut answer).expect("answered");
        begun.elapsed()
    }

    fn retransmits(&self) -> u32 {
        // SAFETY: all of it is integers.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut len = size_of_val(&info) as libc::socklen_t;
        let fd = self.client.as_raw_fd();
        // SAFETY: the kernel writes `len` bytes at most.
        let got = unsafe {
            libc::getsockopt(
                fd,
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut len,
            )
        };
        assert_eq!(got, 0);
        info.tcpi_total_retrans
    }
}

fn id(number: u32) -> String {
    format!("{number:032x}")
}

/// Runs a test where nobody else's packets are; not at all where that cannot be.
fn alone(test: impl FnOnce(Pair) + Send + 'static) {
    let run = move || {
        // SAFETY: it moves this thread alone, and those that it starts.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return println!("skipped: not root");
        }
        assert!(sh("ip link set lo up"), "loopback");
        if !sh("iptables -w -S >/dev/null") {
            return println!("skipped: no iptables");
        }
        test(pair());
        assert!(!sh("iptables -w -S | grep -q tierscope"), "rules are left");
    };
    std::thread::spawn(run).join().expect("the test");
}

fn sh(command: &str) -> bool {
    let status = Command::new("sh").args(["-c", command]).status();
    status.is_ok_and(|status| status.success())
}

fn pair() -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("its address");
    let client = TcpStream::connect(server).expect("connected");
    client.set_nodelay(true).expect("set");
    let (mut socket, _) = listener.accept().expect("accepted");
    std::thread::spawn(move || {
        let mut request = [0; 1024];
        while socket.read(&mut request).is_ok_and(|n| n > 0) {
            let id = String::from_utf8_lossy(&request[30..62]);
            let answer = format!("HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\n\r\n");
            if socket.write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
    });
    Pair {
        client,
        way: way_to(server),
        sent: 0,
    }
}

/// The requests' way to a server.
fn way_to(server: SocketAddr) -> Way {
    let protocol = Protocol::Http;
    Way {
        asks: true,
        talk: Talk { server, protocol },
    }
}

/// The same, of a server on loopback.
fn way_to_port(port: u32) -> Way {
    way_to(SocketAddr::from(([127, 0, 0, 1], port as u16)))
}

fn queued(pair: &Pair, hook: Hook, every: u64, what: What) -> Queued {
    let queued = Queued {
        fault: "test",
        way: pair.way,
        hook,
        every,
        what,
        open: None,
    };
    queued.probe().expect("possible");
    queued
}

fn requests(hits: &[Hit]) -> Vec<String> {
    let ids = hits.iter().map(|hit| hit.request.expect("its request"));
    ids.map(|id| id.to_string()).collect()
}

#[test]
fn every_second_packet_comes_late_by_as_much_as_was_asked() {
    for hook in [Hook::Input, Hook::Output] {
        alone(move |mut pair| {
            let mut fault = queued(&pair, hook, 2, What::Held(Duration::from_millis(40)));
            fault.begin().expect("begun");
            let took: Vec<Duration> = (0..6).map(|_| pair.ask()).collect();
            let hits = fault.end().expect("ended");
            assert_eq!(requests(&hits), [2, 4, 6].map(id), "{took:?}");
            for (hit, took) in hits.iter().zip(took.iter().skip(1).step_by(2)) {
                let held = hit.magnitude_ns.expect("known");
                assert!((40 * MS..60 * MS).contains(&held), "{hit:?}");
                assert!(took.as_nanos() >= u128::from(held), "{took:?} {hit:?}");
            }
            let quick = took.iter().step_by(2).min().expect("three");
            assert!(*quick < Duration::from_millis(20), "{took:?}");
            assert_eq!(pair.retransmits(), 0);
        });
    }
}

#[test]
fn a_lost_packet_is_sent_again_once() {
    alone(|mut pair| {
        let mut fault = queued(&pair, Hook::Input, 3, What::Lost);
        fault.begin().expect("begun");
        let took: Vec<Duration> = (0..6).map(|_| pair.ask()).collect();
        let hits = fault.end().expect("ended");
        assert_eq!(requests(&hits), [3, 6].map(id), "{took:?}");
        assert_eq!(pair.retransmits(), 2);
        for (hit, took) in hits.iter().zip(took.iter().skip(2).step_by(3)) {
            let hole = hit.magnitude_ns.expect("seen again");
            assert!((190 * MS..400 * MS).contains(&hole), "{hit:?}");
            assert!(took.as_nanos() + u128::from(5 * MS) >= u128::from(hole));
        }
    });
}

#[test]
fn an_answer_is_lost_as_well() {
    alone(|mut pair| {
        pair.way.asks = false;
        pair.way.talk.protocol = Protocol::Client;
        let mut fault = queued(&pair, Hook::Input, 2, What::Lost);
        fault.begin().expect("begun");
        pair.ask();
        assert!(pair.ask() >= Duration::from_millis(190));
        let hits = fault.end().expect("ended");
        assert_eq!(requests(&hits), [id(2)]);
        assert!(hits[0].magnitude_ns.is_some_and(|hole| hole >= 190 * MS));
    });
}

#[test]
fn what_waits_longer_than_a_time_out_comes_before_its_copy() {
    alone(|mut pair| {
        let mut fault = queued(
            &pair,
            Hook::Input,
            1,
            What::Held(Duration::from_millis(300)),
        );
        fault.begin().expect("begun");
        let took = pair.ask();
        let hits = fault.end().expect("ended");
        assert!(pair.retransmits() >= 1, "a time-out is 200 ms");
        assert!(took >= Duration::from_millis(300), "{took:?}");
        // Its copy waited behind it: one hit of both.
        assert_eq!(requests(&hits), [id(1)]);
        let held = hits[0].magnitude_ns.expect("known");
        assert!(
            (300 * MS..400 * MS).contains(&held) && hits[0].what.contains("; "),
            "{hits:?}"
        );
    });
}

#[test]
fn a_copy_waits_behind_its_first_even_when_the_window_is_over() {
    alone(|mut pair| {
        let time = Duration::from_millis(300);
        let mut fault = queued(&pair, Hook::Input, 1, What::Held(time));
        fault.begin().expect("begun");
        let asked = std::thread::spawn(move || pair.ask());
        std::thread::sleep(Duration::from_millis(50));
        let hits = fault.end().expect("ended");
        assert_eq!(requests(&hits), [id(1)]);
        assert!(asked.join().expect("asked") >= time);
    });
}

#[test]
fn what_is_refused_goes_later_and_is_not_sent_again() {
    alone(|mut pair| {
        let mut fault = Refuser {
            way: pair.way,
            every: 4,
            open: None,
        };
        fault.probe().expect("possible");
        fault.begin().expect("begun");
        let took: Vec<Duration> = (0..3).map(|_| pair.ask()).collect();
        let hits = fault.end().expect("ended");
        assert_eq!(requests(&hits), [id(1)], "{took:?}");
        let stalled = hits[0].magnitude_ns.expect("went after all");
        assert!((190 * MS..400 * MS).contains(&stalled), "{hits:?}");
        assert!(took[0] >= Duration::from_millis(190), "{took:?}");
        assert_eq!(pair.retransmits(), 0);
    });
}

#[test]
fn a_slow_device_lets_each_packet_out_in_its_turn() {
    alone(|mut pair| {
        // At 125 bytes per millisecond, once 70,000 have gone.
        pair.way.talk.protocol = Protocol::Client;
        let mut fault = Shaper {
            fault: "test",
            way: pair.way,
            wait: Wait::Turn(1000),
            open: None,
        };
        fault.probe().expect("possible");
        fault.begin().expect("begun");
        pair.client.write_all(&[b'0'; 100_000]).expect("sent");
        std::thread::sleep(Duration::from_millis(100));
        let hits = fault.end().expect("ended");
        let longest = hits.iter().filter_map(|hit| hit.magnitude_ns).max();
        assert!(longest.is_some_and(|held| held >= 90 * MS), "{hits:?}");
        assert!(
            !sh("tc qdisc show dev lo | grep -q htb"),
            "the queue is left"
        );
    });
}

#[test]
fn what_the_kernel_lacks_is_refused_before_anything_is_changed() {
    alone(|pair| {
        let fault = Shaper {
            fault: "netem",
            way: pair.way,
            wait: Wait::Time(Duration::from_millis(10)),
            open: None,
        };
        match fault.probe() {
            Ok(()) => assert!(sh("unshare -n tc qdisc add dev lo root netem delay 1ms")),
            Err(error) => {
                let said = error.to_string();
                assert!(
                    said.contains("netem") && said.contains("at_sender"),
                    "{said}"
                );
            }
        }
        assert!(!sh("tc qdisc show dev lo | grep -q htb"));
    });
}

#[test]
fn a_fault_that_is_let_go_of_is_undone() {
    alone(|mut pair| {
        let mut fault = queued(&pair, Hook::Input, 1, What::Held(Duration::from_millis(50)));
        fault.begin().expect("begun");
        pair.client
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .expect("sent");
        std::thread::sleep(Duration::from_millis(10));
        drop(fault);
        let mut answer = [0; ANSWER];
        pair.client
            .read_exact(&mut answer)
            .expect("what waited came");
        assert!(pair.ask() < Duration::from_millis(40));
    });
}

#[test]
fn what_a_killed_owner_held_is_undone() {
    alone(|mut pair| {
        let port = u32::from(pair.way.talk.server.port());
        let rules = "iptables -w -S | grep -q tierscope";
        let queue = "tc qdisc show dev lo | grep -q htb";
        for (fault, left) in [(0, rules), (1, rules), (2, queue)] {
            owner::killed("net::tests::owner", fault << 16 | port);
            owner::until(left, || !sh(left));
            assert!(pair.ask() < Duration::from_millis(40), "{left}");
        }
    });
}

#[test]
#[ignore = "the owner that the test above kills"]
fn owner() {
    owner::hold(|told| {
        let way = way_to_port(told & 0xffff);
        Ok(match told >> 16 {
            0 => Box::new(Queued {
                fault: "test",
                way,
                hook: Hook::Input,
                every: 1,
                what: What::Held(Duration::from_millis(50)),
                open: None,
            }),
            1 => Box::new(Refuser {
                way,
                every: 1,
                open: None,
            }),
            _ => Box::new(Shaper {
                fault: "test",
                way,
                wait: Wait::Turn(1000),
                open: None,
            }),
        })
    });
}
