use crate::sync::Mutex;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};

/// More waiters than this on one object are most likely left over from waits that were given
/// up: all are woken (who still waits, polls again) and forgotten.
const MAX: usize = 64;

/// The wakers of all tasks that wait on one object.
#[derive(Debug, Default)]
pub struct WakerSet(Mutex<Vec<Waker>>);

impl WakerSet {
    /// An empty set.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Adds `waker`, unless it would wake a task that is in the set already.
    pub fn register(&self, waker: &Waker) {
        if waker.will_wake(Waker::noop()) {
            return;
        }
        let full = {
            let mut set = self.0.lock();
            if set.iter().any(|known| known.will_wake(waker)) {
                return;
            }
            let full = (set.len() >= MAX).then(|| core::mem::take(&mut *set));
            set.push(waker.clone());
            full
        };
        full.into_iter().flatten().for_each(Waker::wake);
    }

    /// Wakes and forgets all.
    pub fn wake_all(&self) {
        let woken = core::mem::take(&mut *self.0.lock());
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Wake for WakerSet {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

/// Lets many tasks wait on a source that remembers only the waker of its last caller, as
/// tokio's poll functions do: the source sees one waker, which wakes all. So there is one of
/// these for a source (and direction), however many streams and sockets share it.
#[derive(Debug)]
pub struct SharedWaker {
    set: Arc<WakerSet>,
    waker: Waker,
}

impl SharedWaker {
    /// Without a waiter.
    pub fn new() -> Self {
        let set = Arc::new(WakerSet::new());
        Self {
            waker: Waker::from(set.clone()),
            set,
        }
    }

    /// Polls `source` for the task of `cx`.
    pub fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut source: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut shared = Context::from_waker(&self.waker);
        let first = source(&mut shared);
        if first.is_ready() || cx.waker().will_wake(Waker::noop()) {
            return first;
        }
        // The event may have come after the first look and found no waiter to wake.
        self.set.register(cx.waker());
        source(&mut shared)
    }

    /// Wakes all who wait: for an event that the source does not tell of.
    pub fn wake_all(&self) {
        self.set.wake_all();
    }
}

impl Default for SharedWaker {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn each_task_is_woken_once_however_often_it_polled() {
        let (set, a, b) = (
            WakerSet::new(),
            Arc::<Count>::default(),
            Arc::<Count>::default(),
        );
        let (waker_a, waker_b) = (Waker::from(a.clone()), Waker::from(b.clone()));
        for _ in 0..3 {
            set.register(&waker_a);
            set.register(&waker_b);
        }
        set.wake_all();
        set.wake_all();
        assert_eq!((a.get(), b.get()), (1, 1));
    }

    #[test]
    fn waiters_that_were_given_up_do_not_pile_up() {
        let set = WakerSet::new();
        let count = Arc::<Count>::default();
        for _ in 0..10 * MAX {
            // An allocation each, so that no two of them are the same task.
            let one = count.clone();
            let task: Arc<Relay> = Arc::new(Relay(one));
            set.register(&Waker::from(task));
        }
        assert!(set.0.lock().len() <= MAX);
        assert!(count.get() >= 9 * MAX);
    }

    struct Relay(Arc<Count>);

    impl Wake for Relay {
        fn wake(self: Arc<Self>) {
            self.0.clone().wake();
        }
    }

    #[test]
    fn all_tasks_are_woken_by_a_source_that_keeps_one_waker() {
        let shared = SharedWaker::new();
        let mut kept = None;
        let (a, b) = (Arc::<Count>::default(), Arc::<Count>::default());
        for waker in [Waker::from(a.clone()), Waker::from(b.clone())] {
            let mut cx = Context::from_waker(&waker);
            let poll = shared.poll(&mut cx, |cx| {
                kept = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(poll.is_pending());
        }
        kept.unwrap().wake();
        assert_eq!((a.get(), b.get()), (1, 1));
    }
}
