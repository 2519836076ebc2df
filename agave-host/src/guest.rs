//! One run of a guest, and what moves it on.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Poll, ready};
use wasi_clocks::{Sleep, WasiClocksCtx};
use wasi_io::{BoxFuture, Pollable};
use wasi_types::Duration;

/// What runs the guests that their requests no longer wait for.
pub trait Executor: Send + Sync + 'static {
    /// Runs `task` to its end.
    fn spawn(&self, task: BoxFuture<()>);

    /// Which of its threads this is, where it has several: instances that answer many requests
    /// are given those of their own thread. The default has one.
    fn core(&self) -> usize {
        0
    }

    /// Is offered a guest that has computed for more than a moment: another thread may take
    /// it. The future that comes back ends with the guest, and dropping it drops the guest.
    /// The default keeps it here.
    fn relocate(&self, guest: BoxFuture<wasmtime::Result<()>>) -> BoxFuture<wasmtime::Result<()>> {
        guest
    }

    /// Lets every other task that is ready have a turn. A guest that computes waits for it at
    /// each tick of the epoch. The default is to be polled again.
    fn yield_now(&self) -> BoxFuture<()> {
        yield_now()
    }
}

/// Ready when it is polled again.
pub(crate) fn yield_now() -> BoxFuture<()> {
    let mut yielded = false;
    Box::pin(poll_fn(move |cx| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

/// How often a guest is interrupted before it counts as one that computes.
const MOMENT: u32 = 2;

/// A guest at work. Dropping it ends it, and frees what it holds.
pub(crate) struct Guest {
    run: BoxFuture<wasmtime::Result<()>>,
    interruptions: Arc<AtomicU32>,
    executor: Arc<dyn Executor>,
    relocated: bool,
}

impl Guest {
    /// `interruptions` counts the ticks of the epoch that found this guest computing.
    pub(crate) fn new(
        run: BoxFuture<wasmtime::Result<()>>,
        interruptions: Arc<AtomicU32>,
        executor: Arc<dyn Executor>,
    ) -> Self {
        Self {
            run,
            interruptions,
            executor,
            relocated: false,
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<wasmtime::Result<()>> {
        let poll = self.run.as_mut().poll(cx);
        let computes = self.interruptions.load(Ordering::Relaxed) >= MOMENT;
        if poll.is_ready() || self.relocated || !computes {
            return poll;
        }
        self.relocated = true;
        let run = core::mem::replace(&mut self.run, Box::pin(core::future::pending()));
        self.run = self.executor.relocate(run);
        self.run.as_mut().poll(cx)
    }
}

/// A guest that may live long, with a time limit that can be lifted.
pub(crate) struct Timed {
    guest: Guest,
    clocks: WasiClocksCtx,
    timeout: Option<Duration>,
    limit: Option<(Sleep, TimedOut)>,
}

impl Timed {
    /// `timeout` begins now.
    pub(crate) fn new(guest: Guest, clocks: WasiClocksCtx, timeout: Option<Duration>) -> Self {
        let mut timed = Self {
            guest,
            clocks,
            timeout,
            limit: None,
        };
        timed.restart();
        timed
    }

    /// The guest has its time once more.
    pub(crate) fn restart(&mut self) {
        self.limit = self.timeout.map(|timeout| {
            let deadline = self.clocks.now().saturating_add(timeout);
            let timed_out = TimedOut(timeout / 1_000_000);
            (self.clocks.sleep_until(deadline), timed_out)
        });
    }

    /// The guest has all the time it wants.
    pub(crate) fn lift(&mut self) {
        self.limit = None;
    }

    /// Once it is ready, the guest is to be dropped.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<wasmtime::Result<()>> {
        let before = self.guest.interruptions.load(Ordering::Relaxed);
        let poll = self.guest.poll(cx);
        if poll.is_ready() {
            return poll;
        }
        // Where it waits for more than its next turn, what it computed so far was a moment.
        let counter = &self.guest.interruptions;
        let _ = counter.compare_exchange(before, 0, Ordering::Relaxed, Ordering::Relaxed);
        match &mut self.limit {
            None => Poll::Pending,
            Some((sleep, timed_out)) => {
                ready!(sleep.poll_ready(cx));
                Poll::Ready(Err((*timed_out).into()))
            }
        }
    }
}

/// The chain of causes on one line, without the backtrace.
pub(crate) fn causes(error: &wasmtime::Error) -> String {
    let lines = error.chain().map(|cause| {
        let text = cause.to_string();
        text.lines().next().map(String::from).unwrap_or_default()
    });
    let told: Vec<String> = lines
        .filter(|line| !line.ends_with("wasm backtrace:"))
        .collect();
    told.join(": ")
}

/// The guest's time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest ran out of time (its timeout is {0} ms)")]
pub struct TimedOut(pub(crate) u64);

/// `run`, given up when `sleep` ends first.
pub(crate) async fn limited<T>(
    run: impl Future<Output = wasmtime::Result<T>>,
    mut sleep: Option<(Sleep, TimedOut)>,
) -> wasmtime::Result<T> {
    let mut run = core::pin::pin!(run);
    poll_fn(|cx| {
        if let Poll::Ready(result) = run.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        match &mut sleep {
            None => Poll::Pending,
            Some((sleep, timed_out)) => {
                ready!(sleep.poll_ready(cx));
                Poll::Ready(Err((*timed_out).into()))
            }
        }
    })
    .await
}
