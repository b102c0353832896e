//! One event as a line of JSON: what a tracing script prints of each.

use serde::{Deserialize, Serialize};
use tierscope_model::{Arrive, Body, Event, SocketCookie};

/// The fields that a script would print to join requests later; those of other kinds of event are left out.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// When (ns).
    pub time: u64,
    /// On which CPU.
    pub cpu: u32,
    /// Kind of event.
    pub kind: String,
    /// Process.
    #[serde(skip_serializing_if = "is_zero")]
    pub pid: u32,
    /// Thread.
    #[serde(skip_serializing_if = "is_zero")]
    pub tid: u32,
    /// Socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// Numbers of the event, in the order of its fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<u64>,
    /// Captured text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<&Event> for Line {
    fn from(event: &Event) -> Self {
        Self {
            time: event.time.0,
            cpu: event.cpu,
            ..of_body(&event.body)
        }
    }
}

fn of_body(body: &Body) -> Line {
    match body {
        Body::Send(send) => line("send", send.pid, send.tid)
            .on(send.cookie)
            .with([send.seq.into(), send.len.into(), send.start.0])
            .saying(&String::from_utf8_lossy(&send.head)),
        Body::Recv(recv) => line("recv", recv.pid, recv.tid)
            .on(recv.cookie)
            .with([recv.seq.into(), recv.len.into()])
            .with(recv.arrival.iter().flat_map(segment)),
        Body::Arrive(arrive) => line("arrive", 0, 0).on(arrive.cookie).with(segment(arrive)),
        Body::Transmit(left) => line("transmit", 0, 0)
            .on(left.cookie)
            .with([left.seq.into(), left.end_seq.into()]),
        Body::Usdt(usdt) => line("usdt", usdt.pid, usdt.tid)
            .with([usdt.probe as u64])
            .with(usdt.args)
            .saying(&usdt.text.concat()),
        Body::Switch(switch) => line("switch", switch.pid, switch.tid)
            .with([switch.off_at, switch.woken_at].map(|at| at.map_or(0, |at| at.0)))
            .with([u64::from(switch.wait_event), switch.before.since.0])
            .saying(&switch.before.comm),
        Body::File(file) => line("file", file.pid, file.tid).with([
            file.file.ino,
            file.start.0,
            file.result.unsigned_abs(),
        ]),
        // Connections, processes, disks: rare.
        _ => line("other", 0, 0),
    }
}

fn segment(arrive: &Arrive) -> [u64; 4] {
    let numbers = [arrive.seq, arrive.end_seq, arrive.rcv_nxt].map(u64::from);
    [arrive.time.0, numbers[0], numbers[1], numbers[2]]
}

fn line(kind: &str, pid: u32, tid: u32) -> Line {
    Line {
        kind: kind.to_owned(),
        pid,
        tid,
        ..Line::default()
    }
}

impl Line {
    fn on(self, cookie: SocketCookie) -> Self {
        Self {
            cookie: Some(cookie.0),
            ..self
        }
    }

    fn with(mut self, numbers: impl IntoIterator<Item = u64>) -> Self {
        self.numbers.extend(numbers);
        self
    }

    fn saying(self, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use tierscope_model::{Recv, Timestamp};

    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_printed() {
        let event = Event {
            time: Timestamp(7),
            cpu: 1,
            body: Body::Recv(Recv {
                cookie: SocketCookie(9),
                pid: 2,
                tid: 3,
                seq: 4,
                len: 5,
                arrival: None,
            }),
        };
        let text = serde_json::to_string(&Line::from(&event)).expect("JSON");
        assert_eq!(
            text,
            r#"{"time":7,"cpu":1,"kind":"recv","pid":2,"tid":3,"cookie":9,"numbers":[4,5]}"#
        );
        let read: Line = serde_json::from_str(&text).expect("a line");
        assert_eq!(read, Line::from(&event));
    }
}
