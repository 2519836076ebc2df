//! Who waits for what many tasks wait for.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::mem;
use core::task::{Context, Poll, Waker};
use wasi_io::sync::Mutex;

/// The tasks that wait for a change, in any number: each has one place, for as long as it may
/// wait.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Places>);

#[derive(Default)]
struct Places {
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

impl Waiters {
    pub(super) fn wake_all(&self) {
        let woken = mem::take(&mut self.0.lock().wakers);
        woken.into_values().for_each(Waker::wake);
    }
}

/// A place among the [`Waiters`] of `T`; given back when dropped.
pub(super) struct Waiter<T: AsRef<Waiters>> {
    of: Arc<T>,
    place: u64,
}

impl<T: AsRef<Waiters>> Waiter<T> {
    pub(super) fn new(of: Arc<T>) -> Self {
        let place = {
            let mut places = (*of).as_ref().0.lock();
            places.next += 1;
            places.next
        };
        Self { of, place }
    }

    pub(super) fn of(&self) -> &Arc<T> {
        &self.of
    }

    /// Asks `ready`, again at each change.
    pub(super) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        ready: impl Fn(&Arc<T>) -> Option<R>,
    ) -> Poll<R> {
        if let Some(value) = ready(&self.of) {
            return Poll::Ready(value);
        }
        let waker = cx.waker().clone();
        let replaced = {
            let mut places = (*self.of).as_ref().0.lock();
            places.wakers.insert(self.place, waker)
        };
        drop(replaced);
        // It may have come before the waker was there.
        ready(&self.of).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T: AsRef<Waiters>> Drop for Waiter<T> {
    fn drop(&mut self) {
        let waker = (*self.of).as_ref().0.lock().wakers.remove(&self.place);
        drop(waker);
    }
}
