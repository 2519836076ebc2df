//! A clock that needs no operating system: time passes when it is told to.

use crate::{MonotonicClock, WallClock};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;
use core::task::{Context, Poll};
use wasi_io::{Pollable, WakerSet, sync::Mutex};
use wasi_types::{Datetime, Duration, Instant};

/// Both clocks, moved by hand: for tests, for simulations, and for a system whose timer
/// interrupt calls [`ManualClock::advance`]. Clones are the same clock.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

struct State {
    now: Instant,
    wall: Datetime,
    /// The waits for what is ahead; the number tells those for the same instant apart.
    timers: BTreeMap<(Instant, u64), Arc<WakerSet>>,
    next_timer: u64,
}

impl ManualClock {
    /// Stands at 0, and at `wall` as the time of day.
    pub fn new(wall: Datetime) -> Self {
        Self(Arc::new(Mutex::new(State {
            now: 0,
            wall,
            timers: BTreeMap::new(),
            next_timer: 0,
        })))
    }

    /// Moves both clocks on by `by` nanoseconds, or to their end, and wakes who waited for a
    /// deadline up to there.
    pub fn advance(&self, by: Duration) {
        let due = {
            let mut state = self.0.lock();
            state.now = state.now.saturating_add(by);
            state.wall = later(state.wall, by);
            // A deadline at the end of the clock is due when that is reached.
            match state.now.checked_add(1) {
                Some(next) => {
                    let ahead = state.timers.split_off(&(next, 0));
                    core::mem::replace(&mut state.timers, ahead)
                }
                None => core::mem::take(&mut state.timers),
            }
        };
        due.into_values().for_each(|waiters| waiters.wake_all());
    }

    /// Sets the time of day, forward or back; the monotonic clock does not move.
    pub fn set_wall(&self, wall: Datetime) {
        self.0.lock().wall = wall;
    }

    /// The earliest instant that a task waits for: how far a simulation can go in one step.
    pub fn next_deadline(&self) -> Option<Instant> {
        let first = self.0.lock().timers.keys().next().copied();
        first.map(|(deadline, _)| deadline)
    }
}

fn later(time: Datetime, by: Duration) -> Datetime {
    const SECOND: u64 = 1_000_000_000;
    // At most 2^64 / 10^9 seconds and 2 * (10^9 - 1) nanoseconds.
    let nanoseconds = u64::from(time.nanoseconds()) + by % SECOND;
    let seconds = by / SECOND + nanoseconds / SECOND;
    Datetime::new(
        time.seconds().saturating_add(seconds),
        (nanoseconds % SECOND) as u32,
    )
    .unwrap_or(time)
}

impl Default for ManualClock {
    /// Stands at 0, in 1970.
    fn default() -> Self {
        Self::new(Datetime::UNIX_EPOCH)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("ManualClock")
            .field("now", &state.now)
            .field("wall", &state.wall)
            .field("timers", &state.timers.len())
            .finish()
    }
}

impl WallClock for ManualClock {
    fn now(&self) -> Datetime {
        self.0.lock().wall
    }

    fn resolution(&self) -> Datetime {
        Datetime::new(0, 1).unwrap_or_default()
    }
}

impl MonotonicClock for ManualClock {
    fn now(&self) -> Instant {
        self.0.lock().now
    }

    fn resolution(&self) -> Duration {
        1
    }

    fn timer(&self, deadline: Instant) -> Box<dyn Pollable> {
        let waiters = Arc::new(WakerSet::new());
        let mut state = self.0.lock();
        let key = (deadline, state.next_timer);
        state.next_timer += 1;
        if state.now < deadline {
            state.timers.insert(key, waiters.clone());
        }
        drop(state);
        Box::new(Timer {
            clock: self.clone(),
            key,
            waiters,
        })
    }
}

struct Timer {
    clock: ManualClock,
    key: (Instant, u64),
    waiters: Arc<WakerSet>,
}

impl Pollable for Timer {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Before the look at the clock, so that no step of it comes between.
        self.waiters.register(cx.waker());
        match self.clock.0.lock().now >= self.key.0 {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let waiters = self.clock.0.lock().timers.remove(&self.key);
        // Wakers are foreign code: not under the lock.
        drop(waiters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::task::Wake;
    use alloc::vec::Vec;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::task::Waker;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_time_of_day_moves_with_the_clock_and_carries() {
        for (start, by, end) in [
            ((0, 0), 0, (0, 0)),
            ((0, 999_999_999), 1, (1, 0)),
            ((5, 600_000_000), 2_700_000_000, (8, 300_000_000)),
            ((u64::MAX, 0), 2_000_000_001, (u64::MAX, 1)),
        ] {
            let clock = ManualClock::new(Datetime::new(start.0, start.1).unwrap());
            clock.advance(by);
            assert_eq!(WallClock::now(&clock), Datetime::new(end.0, end.1).unwrap());
            assert_eq!(MonotonicClock::now(&clock), by);
        }
    }

    #[test]
    fn setting_the_time_of_day_leaves_the_monotonic_clock() {
        let clock = ManualClock::new(Datetime::new(9, 0).unwrap());
        clock.advance(7);
        clock.set_wall(Datetime::UNIX_EPOCH);
        assert_eq!(WallClock::now(&clock), Datetime::UNIX_EPOCH);
        assert_eq!(MonotonicClock::now(&clock), 7);
    }

    #[test]
    fn each_step_wakes_those_who_are_due_and_nobody_else() {
        let clock = ManualClock::default();
        let deadlines = [10, 10, 20, u64::MAX];
        let mut waits: Vec<_> = deadlines
            .map(|deadline| (clock.timer(deadline), Arc::<Count>::default()))
            .into();
        for (timer, count) in &mut waits {
            let waker = Waker::from(count.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(timer.poll_ready(&mut cx).is_pending());
        }
        for (step, woken, next) in [
            (9, [0, 0, 0, 0], Some(10)),
            (1, [1, 1, 0, 0], Some(20)),
            (5, [1, 1, 0, 0], Some(20)),
            (100, [1, 1, 1, 0], Some(u64::MAX)),
            (u64::MAX, [1, 1, 1, 1], None),
        ] {
            clock.advance(step);
            let counts: Vec<_> = waits
                .iter()
                .map(|wait| wait.1.0.load(Ordering::Relaxed))
                .collect();
            assert_eq!(counts, woken, "after {step} more");
            assert_eq!(clock.next_deadline(), next);
        }
    }

    #[test]
    fn every_task_that_waits_on_one_timer_is_woken() {
        let clock = ManualClock::default();
        let mut timer = clock.timer(1);
        let tasks = [Arc::<Count>::default(), Arc::<Count>::default()];
        for task in &tasks {
            let waker = Waker::from(task.clone());
            assert!(
                timer
                    .poll_ready(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        clock.advance(1);
        assert_eq!(tasks.map(|task| task.0.load(Ordering::Relaxed)), [1, 1]);
        assert!(
            timer
                .poll_ready(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
    }
}
