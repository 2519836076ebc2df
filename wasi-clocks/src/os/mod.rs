//! The clocks of this machine.

use crate::{MonotonicClock, WallClock};
use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::time::{Instant as StdInstant, SystemTime};
use wasi_io::{Pollable, SharedWaker, os::Runtime};
use wasi_types::{Datetime, Duration, Instant};

/// Steps of [`SystemTime`] in nanoseconds.
const WALL_STEP: u32 = if cfg!(windows) {
    100
} else if cfg!(target_vendor = "apple") {
    1000
} else {
    1
};

/// Steps of [`StdInstant`] in nanoseconds.
const MONOTONIC_STEP: Duration = if cfg!(windows) { 100 } else { 1 };

/// The system's time of day.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemWallClock;

impl WallClock for SystemWallClock {
    fn now(&self) -> Datetime {
        Datetime::try_from(SystemTime::now()).unwrap_or(Datetime::UNIX_EPOCH)
    }

    fn resolution(&self) -> Datetime {
        Datetime::new(0, WALL_STEP).unwrap_or_default()
    }
}

/// The system's monotonic clock, from 0 when it is made.
///
/// Its timers end within a millisecond after their deadline when the machine is not busy.
/// They must not outlive their runtime.
#[derive(Clone, Debug)]
pub struct SystemMonotonicClock {
    start: StdInstant,
    runtime: Option<Runtime>,
}

impl SystemMonotonicClock {
    /// With timers on `runtime`.
    pub fn new(runtime: Runtime) -> Self {
        Self {
            start: StdInstant::now(),
            runtime: Some(runtime),
        }
    }
}

impl Default for SystemMonotonicClock {
    /// With each timer on the [`Runtime::current`] of the task that waits for it first:
    /// without a wait there is no runtime.
    fn default() -> Self {
        Self {
            start: StdInstant::now(),
            runtime: None,
        }
    }
}

impl MonotonicClock for SystemMonotonicClock {
    fn now(&self) -> Instant {
        self.start
            .elapsed()
            .as_nanos()
            .try_into()
            .unwrap_or(Instant::MAX)
    }

    fn resolution(&self) -> Duration {
        MONOTONIC_STEP
    }

    fn timer(&self, deadline: Instant) -> Box<dyn Pollable> {
        let deadline = std::time::Duration::from_nanos(deadline);
        let Some(deadline) = self.start.checked_add(deadline) else {
            // Past what the system can name, centuries ahead.
            return Box::new(Never);
        };
        let current;
        let runtime = match &self.runtime {
            Some(runtime) => runtime,
            None => {
                current = Runtime::current();
                &current
            }
        };
        let _entered = runtime.enter();
        Box::new(Timer {
            sleep: Box::pin(tokio::time::sleep_until(deadline.into())),
            shared: SharedWaker::new(),
        })
    }
}

struct Timer {
    sleep: Pin<Box<tokio::time::Sleep>>,
    shared: SharedWaker,
}

impl Pollable for Timer {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A timer that has ended must not be polled again.
        if self.sleep.is_elapsed() {
            return Poll::Ready(());
        }
        let sleep = &mut self.sleep;
        self.shared.poll(cx, |cx| sleep.as_mut().poll(cx))
    }
}

struct Never;

impl Pollable for Never {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
