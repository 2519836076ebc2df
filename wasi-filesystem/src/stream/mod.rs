//! The streams of files and of directories' entries.

mod entries;
mod input;
mod output;
#[cfg(all(test, feature = "std", feature = "p3"))]
mod tests;
mod writer;

pub use entries::DirectoryEntryStream;
#[cfg(feature = "p3")]
pub(crate) use entries::DirectoryReader;
pub(crate) use input::FileInputStream;
pub(crate) use output::FileOutputStream;
pub(crate) use writer::Writer;

use core::task::{Context, Poll};
use wasi_io::{BoxFuture, SharedWaker};

/// Bytes that a stream may hold though nothing is left of what its guest may.
const MIN_BUFFER: usize = 4 << 10;

/// The most bytes that a stream moves in one step: others get their turn in between, and a
/// backend that makes a copy makes no larger one.
const PIECE_MAX: usize = 256 << 10;

/// An operation of the backend that a stream waits for; any number of tasks may.
struct Waiting<T> {
    future: BoxFuture<T>,
    waker: SharedWaker,
}

impl<T> Waiting<T> {
    fn new(future: BoxFuture<T>) -> Self {
        Self {
            future,
            waker: SharedWaker::new(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let Self { future, waker } = self;
        waker.poll(cx, |cx| future.as_mut().poll(cx))
    }
}
