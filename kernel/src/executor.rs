//! Tasks, on the one processor there is, which sleeps when none is ready.

use crate::clock::Clock;
use crate::{events, net, stdio, timer};
use agave_host::{BoxFuture, Executor};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};
use spin::Mutex;
use x86_64::instructions::interrupts;

/// The tasks that are ready, each once. Interrupt handlers don't touch it.
static READY: Mutex<VecDeque<Arc<Task>>> = Mutex::new(VecDeque::new());

struct Task {
    /// `None` while it is polled, and from its end on.
    future: Mutex<Option<BoxFuture<()>>>,
    /// Whether it is in [`READY`].
    queued: AtomicBool,
}

impl Task {
    fn poll(self: Arc<Self>) {
        // Who wakes it from now on has it polled once more.
        self.queued.store(false, Ordering::Release);
        let Some(mut future) = self.future.lock().take() else {
            return;
        };
        let waker = Waker::from(self.clone());
        if future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            *self.future.lock() = Some(future);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            READY.lock().push_back(self);
        }
    }
}

/// Runs `task` beside the others.
pub(crate) fn spawn(task: BoxFuture<()>) {
    Arc::new(Task {
        future: Mutex::new(Some(task)),
        queued: AtomicBool::new(false),
    })
    .wake();
}

/// For a [`Service`](agave_host::Service).
pub(crate) struct Cpu;

impl Executor for Cpu {
    fn spawn(&self, task: BoxFuture<()>) {
        spawn(task);
    }
}

/// Runs `main` to its end, and meanwhile all that is spawned.
pub(crate) fn run<T: Send + 'static>(
    clock: &Clock,
    main: impl Future<Output = T> + Send + 'static,
) -> T {
    let result = Arc::new(Mutex::new(None));
    let slot = result.clone();
    spawn(Box::pin(async move {
        let value = main.await;
        *slot.lock() = Some(value);
    }));
    loop {
        dispatch(clock);
        let ready = READY.lock().pop_front();
        match ready {
            Some(task) => {
                timer::busy();
                task.poll();
            }
            None => sleep(clock),
        }
        if let Some(value) = result.lock().take() {
            return value;
        }
    }
}

/// Wakes who waited for what interrupts told of.
fn dispatch(clock: &Clock) {
    let events = events::take();
    if events & events::TIMER != 0 {
        clock.wake_due();
    }
    if events & events::INPUT != 0 {
        stdio::wake_readers();
    }
    if events & events::OUTPUT != 0 {
        stdio::wake_writers();
    }
    if events & events::NETWORK != 0 {
        net::wake();
    }
    if events & events::LINK != 0 {
        net::link_changed();
    }
}

/// Until the next interrupt, or the next deadline.
fn sleep(clock: &Clock) {
    interrupts::disable();
    if events::none() {
        timer::idle(clock.next_deadline());
        // Those that came since `disable` come now: nothing is lost in between.
        interrupts::enable_and_hlt();
    } else {
        interrupts::enable();
    }
}
