use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;
use wasi_io::WakerSet;
use wasi_io::sync::Mutex;

/// A lock that is held while operations of the layers are waited for. Who waits for it is
/// pending.
#[derive(Default)]
pub(super) struct Lock {
    held: Mutex<bool>,
    waiters: WakerSet,
}

impl Lock {
    pub(super) async fn lock(self: &Arc<Self>) -> Held {
        poll_fn(|cx| {
            let mut held = self.held.lock();
            if *held {
                // Under the inner lock, so that it is not given up in between.
                self.waiters.register(cx.waker());
                return Poll::Pending;
            }
            *held = true;
            Poll::Ready(())
        })
        .await;
        Held(self.clone())
    }
}

/// Has the lock until it is dropped.
pub(super) struct Held(Arc<Lock>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.held.lock() = false;
        self.0.waiters.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use wasi_io::testkit::Task;

    #[test]
    fn one_has_it_and_all_others_are_woken_when_it_is_free() {
        let lock = Arc::<Lock>::default();
        let held = pollster::block_on(lock.lock());
        let tasks = [(); 3].map(|()| Task::new());
        let mut waits = tasks.each_ref().map(|_| Box::pin(lock.lock()));
        for (task, wait) in tasks.iter().zip(&mut waits) {
            assert!(task.poll(|cx| wait.as_mut().poll(cx)).is_pending());
        }
        drop(held);
        assert!(tasks.iter().all(Task::is_woken));
        let [mut first, mut second, mut third] = waits;
        let held = tasks[0].poll(|cx| first.as_mut().poll(cx));
        assert!(held.is_ready());
        let again = Task::new();
        assert!(again.poll(|cx| second.as_mut().poll(cx)).is_pending());
        drop((first, held));
        // The one that gives up waiting does not keep it from the next.
        drop(second);
        assert!(again.is_woken());
        assert!(again.poll(|cx| third.as_mut().poll(cx)).is_ready());
    }
}
