//! Whether clocks keep what [`MonotonicClock`] and [`WallClock`] promise.
//!
//! ```
//! use wasi_clocks::{manual::ManualClock, testkit};
//!
//! // This clock stands unless it is moved: who waits for it moves it.
//! let clock = ManualClock::default();
//! let driver = |done: &mut dyn FnMut() -> bool| {
//!     (0..1000).any(|_| {
//!         clock.advance(1_000_000);
//!         done()
//!     })
//! };
//! testkit::monotonic(&driver, &clock).assert_ok();
//! testkit::wall(&clock).assert_ok();
//! ```

use crate::{Duration, Instant, MonotonicClock, WallClock};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use wasi_io::Pollable;
use wasi_io::testkit::{Driver, Report, Task, both_are_woken, wait};

/// How long the timers of a check last, in nanoseconds.
const WAIT: Duration = 20_000_000;

/// Checks `clock` and its timers. Each check lasts some 20 ms of its time; `driver` lets that
/// pass, on another thread or by moving the clock.
pub fn monotonic(driver: &dyn Driver, clock: &dyn MonotonicClock) -> Report {
    let mut report = Report::new("MonotonicClock");
    report.check("it never goes back", || {
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            if now < last {
                return Err(format!("it went from {last} to {now}"));
            }
            last = now;
        }
        Ok(())
    });
    report.check("it goes on", || {
        let start = clock.now();
        match driver.until(&mut || clock.now() > start) {
            true => Ok(()),
            false => Err(format!("it stands at {start}")),
        }
    });
    report.check("a step is not 0", || match clock.resolution() {
        0 => Err("resolution gave 0"),
        _ => Ok(()),
    });
    report.check("a timer is not ready before its deadline", || {
        for wait_for in [1, WAIT / 4, WAIT] {
            let (mut timer, deadline) = timer(clock, wait_for);
            ready(driver, &mut *timer)?;
            let now = clock.now();
            if now < deadline {
                return Err(format!("for {deadline} it was ready before {now}"));
            }
        }
        Ok(())
    });
    report.check("a timer stays ready", || {
        let (mut timer, _) = timer(clock, WAIT);
        ready(driver, &mut *timer)?;
        match (0..3).all(|_| is_ready(&mut *timer)) {
            true => Ok(()),
            false => Err(String::from("was ready, then pending")),
        }
    });
    report.check("a timer for what is passed is ready", || {
        let mut timer = clock.timer(clock.now());
        ready(driver, &mut *timer)
    });
    report.check("every task that waits for a timer is woken", || {
        let (mut timer, _) = timer(clock, WAIT);
        both_are_woken(driver, |cx| timer.poll_ready(cx), || Ok(()))
    });
    report.check("timers end each at its own time", || {
        let (mut late, _) = timer(clock, 2 * WAIT);
        let (mut early, _) = timer(clock, WAIT);
        let tasks = [Task::new(), Task::new()];
        // Both wait before the first of them is due.
        let _ = tasks[0].poll(|cx| late.poll_ready(cx));
        let _ = tasks[1].poll(|cx| early.poll_ready(cx));
        ready(driver, &mut *late)?;
        match (is_ready(&mut *early), tasks[1].is_woken()) {
            (true, true) => Ok(()),
            (ready, woken) => Err(format!(
                "the later one was ready; the earlier one was ready: {ready}, woken: {woken}"
            )),
        }
    });
    report.check("a timer that is dropped leaves the others", || {
        let (mut kept, _) = timer(clock, WAIT);
        let (mut dropped, _) = timer(clock, WAIT);
        let tasks = [Task::new(), Task::new()];
        let _ = tasks[0].poll(|cx| kept.poll_ready(cx));
        let _ = tasks[1].poll(|cx| dropped.poll_ready(cx));
        drop(dropped);
        match driver.until(&mut || tasks[0].is_woken()) {
            true => Ok(()),
            false => Err(String::from("its waiter is never woken")),
        }
    });
    report.check("a timer for the end of time only waits", || {
        let mut timer = clock.timer(Instant::MAX);
        match is_ready(&mut *timer) {
            false => Ok(()),
            true => Err(String::from("was ready")),
        }
    });
    report
}

/// Checks `clock`.
pub fn wall(clock: &dyn WallClock) -> Report {
    let mut report = Report::new("WallClock");
    report.check("a step is not 0", || {
        let step = clock.resolution();
        match (step.seconds(), step.nanoseconds()) {
            (0, 0) => Err("resolution gave 0"),
            _ => Ok(()),
        }
    });
    report
}

/// A timer for `wait` from now, and when it ends.
fn timer(clock: &dyn MonotonicClock, wait: Duration) -> (Box<dyn Pollable>, Instant) {
    let deadline = clock.now().saturating_add(wait);
    (clock.timer(deadline), deadline)
}

fn ready(driver: &dyn Driver, timer: &mut dyn Pollable) -> Result<(), String> {
    wait(driver, "a timer", |cx| timer.poll_ready(cx))
}

fn is_ready(timer: &mut dyn Pollable) -> bool {
    Task::new().poll(|cx| timer.poll_ready(cx)).is_ready()
}
