//! Pass 1: puts events in order of time.
//!
//! The ring buffer delivers records almost in order: a program can be preempted between taking the
//! time and reserving its place, so each event is held for a short window before it goes on.

use std::collections::VecDeque;

use tierscope_model::{Event, Nanos, Timestamp};

/// Holds events for `window` and releases them in order; equal times keep their order of arrival.
pub(crate) struct Order {
    window: Nanos,
    held: VecDeque<Event>,
    released: Timestamp,
    /// Events that came after a later one had been released; they go on at once, out of order.
    pub(crate) late: u64,
}

impl Order {
    pub(crate) fn new(window: Nanos) -> Order {
        Order {
            window,
            held: VecDeque::new(),
            released: Timestamp(0),
            late: 0,
        }
    }

    /// Takes an event in; it, or earlier ones, may be ready afterwards.
    pub(crate) fn push(&mut self, event: Event) {
        if event.time < self.released {
            self.late += 1;
        }
        // Nearly sorted input: the place is at or near the back.
        let mut at = self.held.len();
        while at > 0 && self.held[at - 1].time > event.time {
            at -= 1;
        }
        self.held.insert(at, event);
    }

    /// The next event that nothing within the window can precede.
    pub(crate) fn pop_ready(&mut self) -> Option<Event> {
        let newest = self.held.back()?.time;
        let front = self.held.front()?.time;
        if newest.since(front) < self.window {
            None
        } else {
            self.pop()
        }
    }

    /// The next event, ready or not.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.held.pop_front()?;
        self.released = self.released.max(event.time);
        Some(event)
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
    fn counts_what_came_too_late() {
        let mut order = Order::new(10);
        for time in [5, 30, 1] {
            order.push(event(time));
            while order.pop_ready().is_some() {}
        }
        assert_eq!(order.late, 1);
    }
}
