//! The standard streams of this process, and any other blocking reader or writer.

#[cfg(target_os = "linux")]
mod direct;
mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

use crate::{Stdin, Stdout};
#[cfg(target_os = "linux")]
use direct::direct;
use std::io::{self, IsTerminal};
use std::sync::{Arc, LazyLock};
use wasi_io::{DynInputStream, DynOutputStream, StreamError};

/// The standard input of this process, shared by all guests that have it: each byte goes to the
/// one that asks first.
///
/// It is read by a thread that the process starts when the first guest asks for a byte; up to
/// 16 KiB are read before a guest takes them. Nothing is read for nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemStdin;

impl Stdin for SystemStdin {
    fn stream(&self) -> DynInputStream {
        static STDIN: LazyLock<Reader> = LazyLock::new(|| Reader::new(io::stdin()));
        STDIN.stream()
    }

    fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

/// The standard output or error of this process.
///
/// Each is written by a thread that the process starts at the first write that would have to
/// wait (on Linux; elsewhere at the first). Every
/// `SystemStdout` (not: every clone) has a buffer of its own of 64 KiB, and they are written in
/// turn, so that guests don't hold up each other.
#[derive(Clone)]
pub struct SystemStdout {
    writer: Writer,
    is_terminal: fn() -> bool,
}

impl SystemStdout {
    /// The standard output.
    pub fn stdout() -> Self {
        static THREAD: LazyLock<Arc<writer::Thread>> = LazyLock::new(|| {
            let thread = writer::Thread::new(io::stdout());
            #[cfg(target_os = "linux")]
            let thread = thread.with_direct(direct(rustix::stdio::stdout()));
            Arc::new(thread)
        });
        Self {
            writer: Writer::on(THREAD.clone()),
            is_terminal: || io::stdout().is_terminal(),
        }
    }

    /// The standard error.
    pub fn stderr() -> Self {
        static THREAD: LazyLock<Arc<writer::Thread>> = LazyLock::new(|| {
            let thread = writer::Thread::new(io::stderr());
            #[cfg(target_os = "linux")]
            let thread = thread.with_direct(direct(rustix::stdio::stderr()));
            Arc::new(thread)
        });
        Self {
            writer: Writer::on(THREAD.clone()),
            is_terminal: || io::stderr().is_terminal(),
        }
    }

    /// As [`Writer::hold_broken_pipe`].
    pub fn hold_broken_pipe(mut self) -> Self {
        self.writer = self.writer.hold_broken_pipe();
        self
    }

    /// As [`Writer::broken_pipe`].
    pub async fn broken_pipe(&self) {
        self.writer.broken_pipe().await;
    }

    /// Waits until all is written that guests wrote so far, or can't be. To be awaited before
    /// the process ends.
    ///
    /// # Errors
    /// As [`Writer::written`].
    pub async fn written(&self) -> Result<(), StreamError> {
        self.writer.written().await
    }
}

impl Stdout for SystemStdout {
    fn stream(&self) -> DynOutputStream {
        self.writer.stream()
    }

    fn is_terminal(&self) -> bool {
        (self.is_terminal)()
    }
}
