//! On which thread a system call is made.

use crate::{ErrorCode, Result};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::hash::{BuildHasher, Hash};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::hash::RandomState;
use std::time::Instant;
use tokio::task::JoinHandle;
use wasi_io::Op;
use wasi_io::os::Runtime;
use wasi_io::sync::Mutex;

/// Where calls are made that may wait for a disk.
#[derive(Clone, Debug, Default)]
pub enum Mode {
    /// On the thread that asks: for a program that has the process for itself. Every
    /// operation is ready at once.
    #[default]
    Inline,
    /// On the threads for blocking work of this runtime, unless it is known not to wait: for
    /// a server, whose threads have other guests to serve. What the kernel has in memory is
    /// answered at once.
    Offload(Runtime),
}

/// The most bytes that one operation moves on the thread that asks in [`Mode::Offload`].
pub(super) const PIECE_MAX: usize = 1 << 20;

/// What the objects below one granted directory share: nothing, where calls are made inline.
#[derive(Clone)]
pub(super) struct Calls(Option<Arc<Offload>>);

pub(super) struct Offload {
    runtime: Runtime,
    pub(super) writes: Writes,
    pub(super) known: Known,
}

impl Calls {
    pub(super) fn new(mode: Mode) -> Self {
        Self(match mode {
            Mode::Inline => None,
            Mode::Offload(runtime) => Some(Arc::new(Offload {
                runtime,
                writes: Writes::new(),
                known: Known::new(),
            })),
        })
    }

    /// The pool, where calls that may wait go there.
    pub(super) fn offload(&self) -> Option<&Arc<Offload>> {
        self.0.as_ref()
    }
}

impl Offload {
    /// Makes `call` on a thread for blocking work, whether or not anybody waits for it.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.handle().spawn_blocking(call)
    }

    /// [`Offload::spawn`] as an operation.
    pub(super) fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Op<Result<T>> {
        let task = self.spawn(call);
        Op::Pending(Box::pin(async { finished(task.await) }))
    }

    /// [`Offload::run`] for what need not be done when nobody waits for it any more.
    pub(super) fn run_while_awaited<L, T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Op<L, Result<T>> {
        let mut task = GivenUpAtDrop(self.spawn(call));
        Op::Pending(Box::pin(async move { finished((&mut task.0).await) }))
    }
}

/// No result is there when the runtime was shut down before the call was made.
pub(super) fn finished<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.unwrap_or(Err(ErrorCode::Io))
}

struct GivenUpAtDrop<T>(JoinHandle<T>);

impl<T> Drop for GivenUpAtDrop<T> {
    fn drop(&mut self) {
        // A call that has begun goes on.
        self.0.abort();
    }
}

/// Whether writes are made inline. They end in the page cache, and only the kernel knows when
/// that has too much to write back: it then holds the writer up, for 10 ms to 200 ms. So they
/// are made inline until one is held up, and then on the pool for a while: longer each time,
/// where the time between was no longer.
pub(super) struct Writes {
    start: Instant,
    state: Mutex<Held>,
    /// Whether there is a `Held::until` to look at; written under the lock.
    held: AtomicBool,
}

#[derive(Default)]
struct Held {
    /// When writes are made inline again, from the start.
    until: Duration,
    /// For how long they were not.
    pause: Duration,
}

impl Writes {
    /// Most of what the kernel holds a writer up for, and more than a thread waits for its
    /// turn on a core that has a few others to run.
    const HELD_UP: Duration = Duration::from_millis(20);
    const PAUSE_MIN: Duration = Duration::from_millis(100);
    const PAUSE_MAX: Duration = Duration::from_secs(5);

    fn new() -> Self {
        Self {
            start: Instant::now(),
            state: Mutex::new(Held::default()),
            held: AtomicBool::new(false),
        }
    }

    pub(super) fn pass(&self) -> bool {
        if !self.held.load(Relaxed) {
            return true;
        }
        let state = self.state.lock();
        let pass = state.until <= self.start.elapsed();
        if pass {
            self.held.store(false, Relaxed);
        }
        pass
    }

    /// Makes a write, on whichever thread, and takes note of how long it took.
    pub(super) fn watch<T>(&self, write: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = write();
        if start.elapsed() >= Self::HELD_UP {
            let mut state = self.state.lock();
            state.held_up(self.start.elapsed());
            self.held.store(true, Relaxed);
        }
        result
    }
}

impl Held {
    fn held_up(&mut self, now: Duration) {
        if let Some(inline) = now.checked_sub(self.until) {
            self.pause = match inline <= self.pause {
                true => self.pause * 2,
                false => Writes::PAUSE_MIN,
            }
            .min(Writes::PAUSE_MAX);
        }
        self.until = now + self.pause;
    }
}

/// Paths that were looked up lately, so that the kernel has them in memory and a look at them
/// does not wait: it can be asked for that (`RESOLVE_CACHED`), but not in a single `fstatat`,
/// and not for names that don't exist. A path that the kernel forgot meanwhile costs one wait.
pub(super) struct Known {
    slots: Box<[AtomicU64; 256]>,
    hash: RandomState,
}

/// A place in [`Known`].
#[derive(Clone, Copy)]
pub(super) struct Key(u64);

impl Known {
    fn new() -> Self {
        Self {
            slots: Box::new([const { AtomicU64::new(0) }; 256]),
            hash: RandomState::new(),
        }
    }

    /// `path` below `dir`, some number of the directory.
    pub(super) fn key(&self, dir: impl Hash, path: &str) -> Key {
        Key(self.hash.hash_one((dir, path)))
    }

    fn slot(&self, Key(hash): Key) -> &AtomicU64 {
        &self.slots[hash as usize % self.slots.len()]
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.slot(key).load(Relaxed) == key.0
    }

    pub(super) fn insert(&self, key: Key) {
        self.slot(key).store(key.0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_is_held_up_sends_the_next_ones_to_the_pool() {
        let writes = Writes::new();
        assert!(writes.pass());
        writes.watch(|| std::thread::sleep(Writes::HELD_UP));
        assert!(!writes.pass());
        writes.state.lock().until = Duration::ZERO;
        assert!(writes.pass());
    }

    #[test]
    fn pauses_grow_while_the_time_between_is_no_longer_than_they_are() {
        let mut held = Held::default();
        let ms = Duration::from_millis;
        for (now, pause, until) in [
            (50, 100, 150),
            (160, 200, 360),
            // Held up on the pool.
            (300, 200, 500),
            (650, 400, 1050),
            (2000, 100, 2100),
        ] {
            held.held_up(ms(now));
            assert_eq!((held.pause, held.until), (ms(pause), ms(until)), "at {now}");
        }
        for _ in 0..10 {
            held.held_up(held.until);
        }
        assert_eq!(held.pause, Writes::PAUSE_MAX);
    }

    #[test]
    fn a_path_is_known_below_its_directory_alone() {
        let known = Known::new();
        let key = known.key(1, "a");
        assert!(!known.contains(key));
        known.insert(key);
        assert!(known.contains(key));
        assert!(!known.contains(known.key(2, "a")));
        assert!(!known.contains(known.key(1, "b")));
    }
}
