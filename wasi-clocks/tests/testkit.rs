//! Every clock that is shipped passes the kit, and one that is broken does not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use wasi_clocks::manual::ManualClock;
use wasi_clocks::os::{SystemMonotonicClock, SystemWallClock};
use wasi_clocks::{Datetime, Duration, Instant, MonotonicClock, WallClock, testkit};
use wasi_io::Pollable;
use wasi_io::testkit::{Report, Threads};

#[test]
fn the_clocks_of_this_machine_keep_every_guarantee() {
    testkit::monotonic(&Threads, &SystemMonotonicClock::default()).assert_ok();
    testkit::wall(&SystemWallClock).assert_ok();
}

/// Moves `clock` on while something waits for it.
fn advancing(clock: &ManualClock) -> impl Fn(&mut dyn FnMut() -> bool) -> bool {
    move |done| {
        (0..1000).any(|_| {
            clock.advance(1_000_000);
            done()
        })
    }
}

#[test]
fn the_clock_that_is_moved_by_hand_keeps_every_guarantee() {
    let clock = ManualClock::default();
    testkit::monotonic(&advancing(&clock), &clock).assert_ok();
    testkit::wall(&clock).assert_ok();
}

/// What is wrong with a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    GoesBack,
    Stands,
    NoStep,
    TooEarly,
    ForgetsThatItEnded,
    LastWakerOnly,
    LastTimerOnly,
    DropsAll,
    EndOfTimeIsNow,
    NeverForThePast,
}

struct Faulty {
    clock: ManualClock,
    fault: Fault,
    /// How often it was asked for the time.
    calls: AtomicU64,
    timers: Arc<Timers>,
}

/// What the timers of a clock share by fault.
#[derive(Default)]
struct Timers {
    made: AtomicU64,
    /// The one that was polled last.
    current: AtomicU64,
    dropped: AtomicU64,
}

impl MonotonicClock for Faulty {
    fn now(&self) -> Instant {
        let now = MonotonicClock::now(&self.clock);
        match self.fault {
            Fault::GoesBack => now + 10 - self.calls.fetch_add(1, Ordering::Relaxed) % 10,
            Fault::Stands => 0,
            _ => now,
        }
    }

    fn resolution(&self) -> Duration {
        u64::from(self.fault != Fault::NoStep)
    }

    fn timer(&self, deadline: Instant) -> Box<dyn Pollable> {
        let deadline = match self.fault {
            Fault::TooEarly => deadline.saturating_sub(2_000_000),
            Fault::EndOfTimeIsNow if deadline == Instant::MAX => 0,
            Fault::NeverForThePast if deadline <= self.now() => Instant::MAX,
            _ => deadline,
        };
        Box::new(Timer {
            inner: self.clock.timer(deadline),
            fault: self.fault,
            ended: false,
            last: Arc::default(),
            number: self.timers.made.fetch_add(1, Ordering::Relaxed) + 1,
            dropped: self.timers.dropped.load(Ordering::Relaxed),
            timers: self.timers.clone(),
        })
    }
}

struct Timer {
    inner: Box<dyn Pollable>,
    fault: Fault,
    ended: bool,
    last: Arc<Last>,
    number: u64,
    /// How many were dropped before this was made.
    dropped: u64,
    timers: Arc<Timers>,
}

#[derive(Default)]
struct Last(Mutex<Option<Waker>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.0.lock().unwrap().take() {
            waker.wake();
        }
    }
}

/// Wakes, unless what it belongs to has been given up by fault.
struct Guarded(Waker, Arc<Timers>, u64);

impl Wake for Guarded {
    fn wake(self: Arc<Self>) {
        if self.1.dropped.load(Ordering::Relaxed) == self.2 {
            self.0.wake_by_ref();
        }
    }
}

impl Pollable for Timer {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = match self.fault {
            Fault::ForgetsThatItEnded if self.ended => return Poll::Pending,
            Fault::LastWakerOnly => {
                *self.last.0.lock().unwrap() = Some(cx.waker().clone());
                Waker::from(self.last.clone())
            }
            // As hardware with one comparator, and no queue in its driver.
            Fault::LastTimerOnly => {
                let owner = self.timers.current.swap(self.number, Ordering::Relaxed);
                match owner == self.number || owner == 0 {
                    true => cx.waker().clone(),
                    false => return Poll::Pending,
                }
            }
            Fault::DropsAll => {
                let guarded = Guarded(cx.waker().clone(), self.timers.clone(), self.dropped);
                Waker::from(Arc::new(guarded))
            }
            _ => cx.waker().clone(),
        };
        let poll = self.inner.poll_ready(&mut Context::from_waker(&waker));
        self.ended = poll.is_ready();
        poll
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.timers.dropped.fetch_add(1, Ordering::Relaxed);
        self.timers.current.store(0, Ordering::Relaxed);
    }
}

fn names(report: &Report) -> Vec<&'static str> {
    report.failures().map(|(name, _)| name).collect()
}

#[test]
fn a_broken_promise_is_reported_by_its_name() {
    for (fault, broken) in [
        (Fault::GoesBack, "it never goes back"),
        (Fault::Stands, "it goes on"),
        (Fault::NoStep, "a step is not 0"),
        (Fault::TooEarly, "a timer is not ready before its deadline"),
        (Fault::ForgetsThatItEnded, "a timer stays ready"),
        (
            Fault::LastWakerOnly,
            "every task that waits for a timer is woken",
        ),
        (Fault::LastTimerOnly, "timers end each at its own time"),
        (Fault::DropsAll, "a timer that is dropped leaves the others"),
        (
            Fault::EndOfTimeIsNow,
            "a timer for the end of time only waits",
        ),
        (
            Fault::NeverForThePast,
            "a timer for what is passed is ready",
        ),
    ] {
        let clock = ManualClock::default();
        let faulty = Faulty {
            clock: clock.clone(),
            fault,
            calls: AtomicU64::new(0),
            timers: Arc::default(),
        };
        let report = testkit::monotonic(&advancing(&clock), &faulty);
        assert!(names(&report).contains(&broken), "{fault:?}: {report}");
    }
}

#[test]
fn a_time_of_day_without_steps_is_reported() {
    struct Frozen;

    impl WallClock for Frozen {
        fn now(&self) -> Datetime {
            Datetime::UNIX_EPOCH
        }

        fn resolution(&self) -> Datetime {
            Datetime::UNIX_EPOCH
        }
    }

    assert_eq!(names(&testkit::wall(&Frozen)), ["a step is not 0"]);
}
