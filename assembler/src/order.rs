//! Pass 1: puts events in order of cause.
//!
//! The ring buffer delivers records almost in order of time: a program can be preempted between taking
//! the time and reserving its place. And a send is told when its call returns, while its bytes may
//! have been read, and answered, before that: it takes its place by the call's entry. So each event is
//! held for a short window before it goes on.

use std::collections::VecDeque;

use tierscope_model::{Body, Event, Nanos, Timestamp};

use crate::log::insert;

/// Most events held; beyond it the window is shorter.
const LIMIT: usize = 1 << 20;

/// Holds events for `window` and releases them in order; equal times keep their order of arrival.
pub(crate) struct Order {
    window: Nanos,
    held: VecDeque<Event>,
    /// Their places, apart from them: an event is large.
    places: VecDeque<Timestamp>,
    released: Timestamp,
    /// Events that came after a later one had been released; they go on at once, out of order.
    pub(crate) late: u64,
}

impl Order {
    pub(crate) fn new(window: Nanos) -> Order {
        Order {
            window,
            held: VecDeque::new(),
            places: VecDeque::new(),
            released: Timestamp(0),
            late: 0,
        }
    }

    /// Takes an event in; it, or earlier ones, may be ready afterwards.
    pub(crate) fn push(&mut self, event: Event) {
        let place = self.place(&event);
        if place < self.released {
            self.late += 1;
        }
        // Nearly sorted input: the place is at or near the back.
        let mut at = self.places.len();
        while at > 0 && self.places[at - 1] > place {
            at -= 1;
        }
        insert(&mut self.places, at, place);
        insert(&mut self.held, at, event);
    }

    /// A call that blocked for long cannot wait for its entry: half the window is as far as it goes back.
    fn place(&self, event: &Event) -> Timestamp {
        match &event.body {
            Body::Send(send) => send.start.max(event.time - self.window / 2),
            _ => event.time,
        }
    }

    /// The next event that nothing within the window can precede.
    pub(crate) fn pop_ready(&mut self) -> Option<Event> {
        let (newest, front) = (*self.places.back()?, *self.places.front()?);
        if newest.since(front) < self.window && self.places.len() <= LIMIT {
            None
        } else {
            self.pop()
        }
    }

    /// The next event, ready or not.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let place = self.places.pop_front()?;
        self.released = self.released.max(place);
        self.held.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use tierscope_model::{Body, Filtered};

    use super::*;

    fn event(time: u64) -> Event {
        Event {
            time: Timestamp(time),
            cpu: 0,
            body: Body::Filtered(Filtered {
                reason: 0,
                count: time,
            }),
        }
    }

    #[test]
    fn releases_in_order_once_the_window_has_passed() {
        let mut order = Order::new(10);
        let mut out = Vec::new();
        for time in [5, 3, 9, 14, 12, 30] {
            order.push(event(time));
            while let Some(event) = order.pop_ready() {
                out.push(event.time.0);
            }
        }
        while let Some(event) = order.pop() {
            out.push(event.time.0);
        }
        assert_eq!(out, [3, 5, 9, 12, 14, 30]);
        assert_eq!(order.late, 0);
    }

    #[test]
    fn an_answer_comes_after_the_request_whose_call_returned_later() {
        let send = |start, end| Event {
            time: Timestamp(end),
            cpu: 0,
            body: Body::Send(tierscope_model::Send {
                cookie: tierscope_model::SocketCookie(1),
                start: Timestamp(start),
                pid: 1,
                tid: 1,
                seq: 0,
                len: 1,
                protocol: tierscope_model::Protocol::Unknown,
                head: Vec::new(),
                tail: Vec::new(),
                transmitted: None,
            }),
        };
        let mut order = Order::new(100);
        for event in [send(20, 25), send(10, 30)] {
            order.push(event);
        }
        let ends: Vec<_> = std::iter::from_fn(|| order.pop())
            .map(|e| e.time.0)
            .collect();
        assert_eq!(ends, [30, 25]);
    }

    #[test]
    fn counts_what_came_too_late() {
        let mut order = Order::new(10);
        for time in [5, 30, 1] {
            order.push(event(time));
            while order.pop_ready().is_some() {}
        }
        assert_eq!(order.late, 1);
    }
}
