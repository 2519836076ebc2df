//! The traits an operating system implements.

use bytes::Bytes;
use core::task::{Context, Poll, ready};
use wasi_error::StreamError;

/// Something that can be waited for (`wasi:io/poll.pollable`).
pub trait Pollable: Send + 'static {
    /// `Ready` once the event has come, and at every call from then on until the state that
    /// it stands for is used up.
    ///
    /// Pending, it keeps the waker of `cx`. Any number of tasks may wait on one object, each
    /// with a waker of its own: all of them are woken ([`WakerSet`](crate::WakerSet) helps).
    /// A failed source is ready: the failure is reported by the operation itself.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A source of bytes (`wasi:io/streams.input-stream`).
///
/// Dropping it releases what it reads from. Its [`Pollable::poll_ready`] is ready when
/// [`InputStream::poll_read`] would be.
pub trait InputStream: Pollable {
    /// Reads what is there now, up to `buf.len()` bytes, and says how many they were.
    ///
    /// Pending, it has taken no byte and keeps the waker of `cx`; the next call may bring
    /// another buffer. `Ok(0)` comes only for an empty `buf`, which does not wait.
    ///
    /// # Errors
    /// - [`StreamError::Closed`]: the end was reached before this call.
    /// - [`StreamError::LastOperationFailed`]: the source failed; nothing was read.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>>;

    /// As [`InputStream::poll_read`], giving bytes that the source holds already where it can.
    ///
    /// The default reads into a new buffer of `max` bytes once the stream is ready.
    fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        if max > 0 {
            ready!(self.poll_ready(cx));
        }
        let mut buf = alloc::vec![0; max];
        self.poll_read(cx, &mut buf).map_ok(|n| {
            buf.truncate(n);
            buf.into()
        })
    }

    /// As [`InputStream::poll_read`], dropping the bytes. The default reads them.
    fn poll_skip(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<usize, StreamError>> {
        self.poll_read_bytes(cx, max).map_ok(|bytes| bytes.len())
    }
}

/// [`InputStream::poll_read`] of a stream whose [`InputStream::poll_read_bytes`] is its own, and
/// gives bytes that it holds already: copies them.
///
/// # Errors
/// As [`InputStream::poll_read`].
pub fn poll_read_held(
    stream: &mut (impl InputStream + ?Sized),
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<Result<usize, StreamError>> {
    stream.poll_read_bytes(cx, buf.len()).map_ok(|bytes| {
        buf[..bytes.len()].copy_from_slice(&bytes);
        bytes.len()
    })
}

/// A sink of bytes (`wasi:io/streams.output-stream`).
///
/// Its [`Pollable::poll_ready`] is ready when [`OutputStream::check_write`] would give at
/// least 1, or an error. What was written is delivered without the stream being polled again:
/// a guest may write and then wait for something else. It is on its way when the stream is
/// dropped after a flush has ended; without one it may be lost.
pub trait OutputStream: Pollable {
    /// How many bytes [`OutputStream::write`] takes now without waiting; 0 while it takes
    /// none, and until a flush has ended.
    ///
    /// # Errors
    /// - [`StreamError::Closed`]: the sink takes no more bytes, ever.
    /// - [`StreamError::LastOperationFailed`]: bytes that were taken before could not be
    ///   delivered; reported once, then it is closed.
    fn check_write(&mut self) -> Result<usize, StreamError>;

    /// Takes all of `bytes`. The caller has the permit: the writes since the last
    /// [`OutputStream::check_write`] are together no longer than what it gave.
    ///
    /// # Errors
    /// As [`OutputStream::check_write`]; nothing of `bytes` was taken.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError>;

    /// As [`OutputStream::write`], for bytes that are owned already.
    fn write_bytes(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.write(&bytes)
    }

    /// Takes some of `bytes` at once and says how many: 0 only where `bytes` is empty. Pending,
    /// it has taken none and keeps the waker of `cx`.
    ///
    /// The default waits for a permit and writes within it. A sink that can pass on what it is
    /// given, and leave the rest to the caller, need not keep a copy of anything here.
    ///
    /// # Errors
    /// As [`OutputStream::check_write`]; nothing of `bytes` was taken.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_ready(cx));
        match self.check_write()?.min(bytes.len()) {
            // It was ready a moment ago and changed its mind: ask again later.
            0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            n => {
                self.write(&bytes[..n])?;
                Poll::Ready(Ok(n))
            }
        }
    }

    /// Begins to deliver what was written; it has ended when `check_write` gives more than 0
    /// or an error. The default is for sinks that buffer nothing.
    ///
    /// # Errors
    /// As [`OutputStream::check_write`].
    fn flush(&mut self) -> Result<(), StreamError> {
        self.check_write().map(drop)
    }

    /// Whether what was taken waits for a flush, as the default says. Without that a write of
    /// WASI 0.3 has ended when its bytes were taken.
    fn waits_for_flush(&self) -> bool {
        true
    }
}
