//! A client that reads slowly: it lets the first parts of an answer lie before it reads them.

use std::time::Duration;

/// So many parts are let lie; one is what is there when the client looks.
const PARTS: u32 = 2;

/// Where the reading of one answer stands.
#[derive(Debug)]
pub struct Slow {
    pause: u64,
    left: u32,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Nothing is there.
    Looking,
    /// Something is; it lies until this time, ns.
    Pausing(u64),
    /// What is there is to be read now.
    Reading,
}

impl Slow {
    /// A reader that lets each part lie for so long.
    pub fn new(pause: Duration) -> Self {
        Self {
            pause: pause.as_nanos() as u64,
            left: PARTS,
            step: Step::Looking,
        }
    }

    /// Something can be read at `now`: true where that is left for later.
    pub fn leaves(&mut self, now: u64) -> bool {
        match self.step {
            Step::Looking if self.left > 0 => {
                self.left -= 1;
                self.step = Step::Pausing(now + self.pause);
                true
            }
            Step::Looking => false,
            Step::Pausing(_) => true,
            Step::Reading => {
                self.step = Step::Looking;
                false
            }
        }
    }

    /// When the pause is over, if there is one.
    pub fn until(&self) -> Option<u64> {
        match self.step {
            Step::Pausing(until) => Some(until),
            _ => None,
        }
    }

    /// Ends a pause that is over by `now`: true where one was.
    pub fn resume(&mut self, now: u64) -> bool {
        let over = self.until().is_some_and(|until| until <= now);
        if over {
            self.step = Step::Reading;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_parts_lie_for_a_while_and_the_rest_does_not() {
        let mut slow = Slow::new(Duration::from_nanos(10));
        for start in [100, 200] {
            assert!(slow.leaves(start) && slow.leaves(start + 5));
            assert_eq!(slow.until(), Some(start + 10));
            assert!(!slow.resume(start + 9) && slow.resume(start + 10));
            assert_eq!(slow.until(), None);
            assert!(!slow.leaves(start + 11));
        }
        assert!(!slow.leaves(300) && !slow.resume(300));
    }
}
