//! What the backends for this machine share.

use std::sync::LazyLock;
use tokio::runtime::{Builder, EnterGuard, Handle, Runtime as Tokio};

/// The runtime that an operating-system backend waits on: tokio's, of the caller or our own.
///
/// Futures and poll functions of the backends work under any executor; this is only what
/// wakes them.
#[derive(Clone, Debug)]
pub struct Runtime(Handle);

impl Runtime {
    /// The runtime that this is called in, or else a small one of our own: one thread, made
    /// when it is first asked for and shared by the whole process.
    pub fn current() -> Self {
        static OWN: LazyLock<Tokio> = LazyLock::new(|| {
            Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("wasi-io")
                .enable_all()
                .build()
                .expect("the system has no thread or no descriptor left for a runtime")
        });
        Self(Handle::try_current().unwrap_or_else(|_| OWN.handle().clone()))
    }

    /// The handle, to spawn on.
    pub fn handle(&self) -> &Handle {
        &self.0
    }

    /// Makes this the current runtime while the guard lives. Needed where a socket or a timer
    /// is registered, not where one is used.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.0.enter()
    }
}

impl From<Handle> for Runtime {
    fn from(handle: Handle) -> Self {
        Self(handle)
    }
}
