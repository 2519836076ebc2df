//! On which thread a system call is made.

use crate::{ErrorCode, Result};
use alloc::boxed::Box;
use core::hash::{BuildHasher, Hash};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::hash::RandomState;
use std::time::Instant;
use tokio::task::JoinHandle;
use wasi_io::Op;
use wasi_io::os::Runtime;

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

/// What the objects below one granted directory share.
pub(super) struct Calls {
    offload: Option<Offload>,
}

pub(super) struct Offload {
    runtime: Runtime,
    pub(super) writes: Writes,
    pub(super) known: Known,
}

impl Calls {
    pub(super) fn new(mode: Mode) -> Self {
        let offload = match mode {
            Mode::Inline => None,
            Mode::Offload(runtime) => Some(Offload {
                runtime,
                writes: Writes(AtomicU32::new(0)),
                known: Known::new(),
            }),
        };
        Self { offload }
    }

    /// The pool, where calls that may wait go there.
    pub(super) fn offload(&self) -> Option<&Offload> {
        self.offload.as_ref()
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

/// Whether writes are let through at once. They end in the page cache, and only the kernel
/// knows when that is full: it then holds the writer up, for 10 ms to 200 ms as a rule. So
/// they are made inline until one was held up, and then on the pool until many in a row
/// were not.
pub(super) struct Writes(AtomicU32);

impl Writes {
    /// More than a thread waits for its turn on a busy core, as a rule.
    const HELD_UP: Duration = Duration::from_millis(5);
    /// Writes that must pass before they are made inline again.
    const IN_A_ROW: u32 = 64;

    pub(super) fn pass(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// Makes a write, on whichever thread, and takes note of how long it took.
    pub(super) fn watch<T>(&self, write: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = write();
        let left = self.0.load(Relaxed);
        // Racing writers may count one too many or too few: it is an estimate.
        if start.elapsed() >= Self::HELD_UP {
            self.0.store(Self::IN_A_ROW, Relaxed);
        } else if left > 0 {
            self.0.store(left - 1, Relaxed);
        }
        result
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
    fn writes_go_to_the_pool_from_one_that_was_held_up_until_many_were_not() {
        let writes = Writes(AtomicU32::new(0));
        writes.watch(|| ());
        assert!(writes.pass());
        writes.watch(|| std::thread::sleep(Writes::HELD_UP));
        for _ in 0..Writes::IN_A_ROW {
            assert!(!writes.pass());
            // One that the machine really holds up starts the count anew.
            while {
                writes.watch(|| ());
                writes.0.load(Relaxed) == Writes::IN_A_ROW
            } {}
        }
        assert!(writes.pass());
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
