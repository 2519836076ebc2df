//! Conformance kits: whether a backend keeps what the traits promise.
//!
//! A kit makes objects of a backend, runs each guarantee of their trait as a check of its own,
//! and returns a [`Report`] that names those which were broken, with what was seen instead.
//! The kits of `wasi-clocks`, `wasi-random`, `wasi-sockets` and others are made of the same
//! parts: [`Report`], [`Driver`], [`Task`], [`both_are_woken`].
//!
//! ```
//! use wasi_io::{memory, testkit};
//!
//! let report = testkit::pipe(&testkit::AtOnce, &|| {
//!     let (writer, reader) = memory::pipe(16);
//!     (Box::new(writer), Box::new(reader))
//! });
//! println!("{report}");
//! report.assert_ok();
//! ```

mod report;
mod steps;
mod streams;

pub use report::{Check, Miss, Report};
pub use streams::{input, output, pipe, pollable};

use alloc::string::String;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

/// Lets a backend go on while a check waits for it.
///
/// A function that takes a condition is one. It asks again and again, and between the questions
/// does what moves the backend on: lets other threads run, polls a device, advances a clock.
pub trait Driver {
    /// Asks `done` until it says yes; `false` when it has not for longer than the backend may
    /// take.
    fn until(&self, done: &mut dyn FnMut() -> bool) -> bool;
}

impl<F: Fn(&mut dyn FnMut() -> bool) -> bool> Driver for F {
    fn until(&self, done: &mut dyn FnMut() -> bool) -> bool {
        self(done)
    }
}

/// For backends that do everything within the calls: nothing is waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtOnce;

impl Driver for AtOnce {
    fn until(&self, done: &mut dyn FnMut() -> bool) -> bool {
        // More than once: a condition may take a step each time.
        (0..100_000).any(|_| done())
    }
}

/// For backends that other threads move on: waits for them, up to ten seconds a time.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

#[cfg(feature = "std")]
impl Driver for Threads {
    fn until(&self, done: &mut dyn FnMut() -> bool) -> bool {
        use std::time::{Duration, Instant};
        let start = Instant::now();
        // What goes fast is not slept over.
        for pause in (0..1000).map(|_| 0).chain(core::iter::repeat(200)) {
            if done() {
                return true;
            }
            if start.elapsed() > Duration::from_secs(10) {
                return false;
            }
            std::thread::sleep(Duration::from_micros(pause));
        }
        false
    }
}

/// A task that polls and sees whether it is woken.
#[derive(Debug)]
pub struct Task {
    woken: Arc<Woken>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Task {
    /// A task that was not woken.
    pub fn new() -> Self {
        let woken = Arc::<Woken>::default();
        Self {
            waker: Waker::from(woken.clone()),
            woken,
        }
    }

    /// Polls with the waker of this task.
    pub fn poll<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        poll(&mut Context::from_waker(&self.waker))
    }

    /// Whether it was woken since it was made.
    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Acquire)
    }
}

impl Default for Task {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until `poll` is ready.
///
/// # Errors
/// It never is: says that `what` is.
pub fn wait<T>(
    driver: &dyn Driver,
    what: &str,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, String> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut value = None;
    driver.until(&mut || match poll(&mut cx) {
        Poll::Ready(ready) => {
            value = Some(ready);
            true
        }
        Poll::Pending => false,
    });
    value.ok_or_else(|| alloc::format!("{what} stays pending"))
}

/// The guarantee of every `poll_*` function: two tasks find `poll` pending, then `event`
/// happens, and both of them are woken.
///
/// # Errors
/// They did not find it pending, or one of them was not woken.
pub fn both_are_woken(
    driver: &dyn Driver,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>,
    event: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let tasks = [Task::new(), Task::new()];
    for task in &tasks {
        if task.poll(&mut poll).is_ready() {
            return Err("was ready before anything had happened".into());
        }
    }
    event()?;
    if driver.until(&mut || tasks.iter().all(Task::is_woken)) {
        return Ok(());
    }
    Err(alloc::format!(
        "of two tasks that waited, the first was {}, the second {}",
        was(tasks[0].is_woken()),
        was(tasks[1].is_woken()),
    ))
}

fn was(woken: bool) -> &'static str {
    match woken {
        true => "woken",
        false => "never woken",
    }
}
