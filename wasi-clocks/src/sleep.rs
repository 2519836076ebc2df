use crate::MonotonicClock;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::task::{Context, Poll, Waker};
use wasi_io::Pollable;
use wasi_types::{Duration, Instant};

/// A wait for an instant of a [`MonotonicClock`].
///
/// The clock's timer is made only once a task really has to wait: a deadline that has passed,
/// or one that is only looked at, costs a look at the clock.
pub struct Sleep {
    clock: Arc<dyn MonotonicClock>,
    deadline: Instant,
    timer: Option<Box<dyn Pollable>>,
}

impl Sleep {
    /// Ready from `deadline` on (`wasi:clocks/monotonic-clock.subscribe-instant`).
    pub fn until(clock: Arc<dyn MonotonicClock>, deadline: Instant) -> Self {
        Self {
            clock,
            deadline,
            timer: None,
        }
    }

    /// Ready when `duration` nanoseconds from now have passed; where the sum is past the end
    /// of the clock, at the end (`wasi:clocks/monotonic-clock.subscribe-duration`).
    pub fn lasting(clock: Arc<dyn MonotonicClock>, duration: Duration) -> Self {
        let deadline = clock.now().saturating_add(duration);
        Self::until(clock, deadline)
    }

    /// When it is over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Pollable for Sleep {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.deadline {
            self.timer = None;
            return Poll::Ready(());
        }
        // Nobody is there to be woken.
        if cx.waker().will_wake(Waker::noop()) {
            return Poll::Pending;
        }
        self.timer
            .get_or_insert_with(|| self.clock.timer(self.deadline))
            .poll_ready(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("waits", &self.timer.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::ManualClock;
    use alloc::task::Wake;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    /// A task's waker, other than `Waker::noop`.
    fn poll(sleep: &mut Sleep) -> bool {
        let waker = Waker::from(Arc::new(Nobody));
        sleep
            .poll_ready(&mut Context::from_waker(&waker))
            .is_ready()
    }

    fn look(sleep: &mut Sleep) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        sleep.poll_ready(&mut cx).is_ready()
    }

    #[test]
    fn durations_are_added_to_now_without_overflow() {
        let clock = ManualClock::default();
        clock.advance(100);
        for (duration, deadline) in [
            (0, 100),
            (5, 105),
            (u64::MAX - 100, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            let sleep = Sleep::lasting(Arc::new(clock.clone()), duration);
            assert_eq!(sleep.deadline(), deadline);
        }
    }

    #[test]
    fn a_deadline_is_ready_when_it_comes_and_stays_so() {
        let clock = ManualClock::default();
        clock.advance(100);
        for (deadline, at_once) in [(0, true), (99, true), (100, true), (101, false)] {
            let mut sleep = Sleep::until(Arc::new(clock.clone()), deadline);
            assert_eq!(look(&mut sleep), at_once, "{deadline}");
            assert_eq!(poll(&mut sleep), at_once, "{deadline}");
        }
        let mut sleep = Sleep::until(Arc::new(clock.clone()), 110);
        for (step, ready) in [(9, false), (1, true), (0, true), (50, true)] {
            clock.advance(step);
            assert_eq!(look(&mut sleep), ready);
            assert_eq!(poll(&mut sleep), ready);
        }
    }

    #[test]
    fn only_a_task_that_waits_costs_a_timer() {
        let clock = ManualClock::default();
        let mut sleep = Sleep::until(Arc::new(clock.clone()), 10);
        assert!(!look(&mut sleep));
        assert_eq!(clock.next_deadline(), None, "looked at, not waited for");
        assert!(!poll(&mut sleep));
        assert_eq!(clock.next_deadline(), Some(10));
        drop(sleep);
        assert_eq!(clock.next_deadline(), None, "given up");
    }
}
