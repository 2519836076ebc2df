//! `wasi:clocks`: the time stamp counter, and the time of day that the RTC had at boot.

use crate::{rtc, timer};
use alloc::boxed::Box;
use alloc::sync::Arc;
use wasi_clocks::manual::ManualClock;
use wasi_clocks::{Datetime, Duration, Instant, MonotonicClock, WallClock};
use wasi_io::Pollable;

const SECOND: u64 = 1_000_000_000;

/// Both clocks. Clones are the same.
#[derive(Clone)]
pub(crate) struct Clock {
    /// Has the timers; follows the counter by [`Clock::wake_due`].
    timers: ManualClock,
    /// The time of day, in seconds since 1970, when the counter was at 0.
    boot: Arc<u64>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let boot = rtc::now().saturating_sub(timer::now() / SECOND);
        Self {
            timers: ManualClock::default(),
            boot: Arc::new(boot),
        }
    }

    /// Wakes the tasks whose time has come.
    pub(crate) fn wake_due(&self) {
        let behind = MonotonicClock::now(self).saturating_sub(MonotonicClock::now(&self.timers));
        self.timers.advance(behind);
    }

    /// The earliest instant that a task waits for.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }
}

impl MonotonicClock for Clock {
    fn now(&self) -> Instant {
        timer::now()
    }

    fn resolution(&self) -> Duration {
        1
    }

    fn timer(&self, deadline: Instant) -> Box<dyn Pollable> {
        let timer = self.timers.timer(deadline);
        timer::sooner(deadline);
        timer
    }
}

/// As exact as the RTC was read: to a second.
impl WallClock for Clock {
    fn now(&self) -> Datetime {
        let passed = timer::now();
        let seconds = self.boot.saturating_add(passed / SECOND);
        Datetime::new(seconds, (passed % SECOND) as u32).unwrap_or(Datetime::UNIX_EPOCH)
    }

    fn resolution(&self) -> Datetime {
        Datetime::new(0, 1).unwrap_or(Datetime::UNIX_EPOCH)
    }
}
