//! The traits an operating system implements.

use alloc::sync::Arc;
use wasi_io::{DynInputStream, DynOutputStream};

/// What a guest reads as its standard input (`wasi:cli/stdin`, `wasi:cli/terminal-stdin`).
pub trait Stdin: Send + Sync + 'static {
    /// A new stream (`get-stdin` of WASI 0.2, `read-via-stream` of 0.3). A guest may ask for one
    /// before every read, so all of them read on where the last one stopped, and none takes bytes
    /// that it does not give out. Of several that are read at once, each byte goes to one.
    fn stream(&self) -> DynInputStream;

    /// Whether somebody may be typing.
    fn is_terminal(&self) -> bool {
        false
    }
}

/// Where a guest's standard output or error goes (`wasi:cli/stdout`, `wasi:cli/stderr`, and
/// their terminals).
pub trait Stdout: Send + Sync + 'static {
    /// A new stream (`get-stdout` and `get-stderr` of WASI 0.2, `write-via-stream` of 0.3). A
    /// guest may ask for one before every write, so what they take comes out in the order of the
    /// writes, also after they are dropped.
    ///
    /// What they hold is bounded for all of them together: a guest may have many.
    fn stream(&self) -> DynOutputStream;

    /// Whether somebody may be looking.
    fn is_terminal(&self) -> bool {
        false
    }
}

impl<T: Stdin + ?Sized> Stdin for Arc<T> {
    fn stream(&self) -> DynInputStream {
        (**self).stream()
    }

    fn is_terminal(&self) -> bool {
        (**self).is_terminal()
    }
}

impl<T: Stdout + ?Sized> Stdout for Arc<T> {
    fn stream(&self) -> DynOutputStream {
        (**self).stream()
    }

    fn is_terminal(&self) -> bool {
        (**self).is_terminal()
    }
}
