//! An executor a core.

use crate::guest::Executor;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use std::io;
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task;
use wasi_io::BoxFuture;

std::thread_local! {
    /// Which of the cores this thread is.
    static CORE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// One single-threaded executor for each core: what begins on one stays there, so that a
/// request is served from its first byte to its last without waking another thread. Only a
/// guest that computes for long moves, to where fewer of its kind are.
pub struct Cores {
    handles: Vec<Handle>,
    computing: Vec<AtomicUsize>,
}

impl Cores {
    /// Executors for `count` cores (at least 1), to be started.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub(super) fn new(count: usize) -> io::Result<(Arc<Self>, Vec<Runtime>)> {
        let runtimes = (0..count.max(1))
            .map(|_| {
                Builder::new_current_thread()
                    .enable_all()
                    // A guest that computes is ready all the time: by default the sockets
                    // would be looked at only after 61 of its turns.
                    .event_interval(4)
                    .build()
            })
            .collect::<io::Result<Vec<_>>>()?;
        let cores = Self {
            handles: runtimes.iter().map(|rt| rt.handle().clone()).collect(),
            computing: runtimes.iter().map(|_| AtomicUsize::new(0)).collect(),
        };
        Ok((Arc::new(cores), runtimes))
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Which one this thread is; 0 on a thread that is none.
    pub fn current(&self) -> usize {
        CORE.get().filter(|core| *core < self.count()).unwrap_or(0)
    }

    /// The least busy with guests that compute; this thread's, where it is no worse.
    fn least_busy(&self) -> usize {
        let load = |core: usize| self.computing[core].load(Ordering::Relaxed);
        let here = self.current();
        let best = (0..self.count()).min_by_key(|core| load(*core));
        best.filter(|core| load(*core) < load(here)).unwrap_or(here)
    }
}

/// Runs `main` on a thread of its own as core number `core`.
///
/// # Errors
/// The system has no thread left.
pub(super) fn start(
    core: usize,
    runtime: Runtime,
    main: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let name = format!("agave-core-{core}");
    thread::Builder::new().name(name).spawn(move || {
        CORE.set(Some(core));
        runtime.block_on(main);
        // A name look-up may still hold a thread; nothing waits for its answer any more.
        runtime.shutdown_background();
    })
}

impl Executor for Arc<Cores> {
    fn spawn(&self, task: BoxFuture<()>) {
        self.handles[self.current()].spawn(task);
    }

    fn core(&self) -> usize {
        self.current()
    }

    fn relocate(&self, guest: BoxFuture<wasmtime::Result<()>>) -> BoxFuture<wasmtime::Result<()>> {
        let core = self.least_busy();
        self.computing[core].fetch_add(1, Ordering::Relaxed);
        let counted = Counted {
            guest,
            cores: self.clone(),
            core,
        };
        if core == self.current() {
            return Box::pin(counted);
        }
        Box::pin(Elsewhere(self.handles[core].spawn(counted)))
    }

    fn yield_now(&self) -> BoxFuture<()> {
        // Behind everything that is ready and what the system has to tell.
        Box::pin(task::yield_now())
    }
}

/// A guest that computes, counted where it does.
struct Counted {
    guest: BoxFuture<wasmtime::Result<()>>,
    cores: Arc<Cores>,
    core: usize,
}

impl Future for Counted {
    type Output = wasmtime::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.guest.as_mut().poll(cx)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.cores.computing[self.core].fetch_sub(1, Ordering::Relaxed);
    }
}

/// A guest on another core, which ends there when this is dropped.
struct Elsewhere(task::JoinHandle<wasmtime::Result<()>>);

impl Future for Elsewhere {
    type Output = wasmtime::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|joined| joined.unwrap_or_else(|error| Err(error.into())))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.abort();
    }
}
