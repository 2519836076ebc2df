//! What the WIT text of `wasi:io/streams` says, over any backend.

use crate::{InputStream, OutputStream, Pollable};
use alloc::boxed::Box;
use bytes::Bytes;
use core::task::{Context, Poll, ready};
use wasi_error::StreamError;

/// The most bytes that `blocking-write-and-flush` and `blocking-write-zeroes-and-flush` take.
pub const BLOCKING_WRITE_MAX: usize = 4096;

/// The guest broke a rule that the WIT text makes a trap: it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trap(pub &'static str);

/// An `input-stream`: a backend's stream that stays closed once it has failed or ended.
pub struct DynInputStream(Option<Box<dyn InputStream>>);

impl DynInputStream {
    /// An open stream from `backend`.
    pub fn new(backend: impl InputStream) -> Self {
        Self(Some(Box::new(backend)))
    }

    /// A stream at its end.
    pub const fn closed() -> Self {
        Self(None)
    }

    /// `read`: up to `max` bytes that are there now; none is not the end.
    ///
    /// # Errors
    /// [`StreamError`], and [`StreamError::Closed`] ever after.
    pub fn read(&mut self, max: usize) -> Result<Bytes, StreamError> {
        match self.poll_read(&mut Context::from_waker(core::task::Waker::noop()), max) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(Bytes::new()),
        }
    }

    /// `blocking-read`: as [`DynInputStream::read`], waiting for the first byte.
    ///
    /// # Errors
    /// As [`DynInputStream::read`].
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        if max == 0 {
            return Poll::Ready(self.open().map(|_| Bytes::new()));
        }
        let result = ready!(self.open()?.poll_read_bytes(cx, max));
        Poll::Ready(self.latch(result))
    }

    /// As [`DynInputStream::poll_read`], into `buf`: says how many bytes it has, 0 only where it
    /// is empty.
    ///
    /// # Errors
    /// As [`DynInputStream::read`].
    pub fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        if buf.is_empty() {
            return Poll::Ready(self.open().map(|_| 0));
        }
        let result = ready!(self.open()?.poll_read(cx, buf));
        Poll::Ready(self.latch(result))
    }

    /// `skip`: drops up to `max` bytes that are there now and says how many.
    ///
    /// # Errors
    /// As [`DynInputStream::read`].
    pub fn skip(&mut self, max: usize) -> Result<usize, StreamError> {
        match self.poll_skip(&mut Context::from_waker(core::task::Waker::noop()), max) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(0),
        }
    }

    /// `blocking-skip`: as [`DynInputStream::skip`], waiting for the first byte.
    ///
    /// # Errors
    /// As [`DynInputStream::read`].
    pub fn poll_skip(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<usize, StreamError>> {
        if max == 0 {
            return Poll::Ready(self.open().map(|_| 0));
        }
        let result = ready!(self.open()?.poll_skip(cx, max));
        Poll::Ready(self.latch(result))
    }

    fn open(&mut self) -> Result<&mut Box<dyn InputStream>, StreamError> {
        self.0.as_mut().ok_or(StreamError::Closed)
    }

    fn latch<T>(&mut self, result: Result<T, StreamError>) -> Result<T, StreamError> {
        if result.is_err() {
            self.0 = None;
        }
        result
    }
}

impl Pollable for DynInputStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(backend) => backend.poll_ready(cx),
            None => Poll::Ready(()),
        }
    }
}

/// An `output-stream`: a backend's stream with the permit that `check-write` gave, which
/// stays closed once it has failed.
pub struct DynOutputStream {
    backend: Option<Box<dyn OutputStream>>,
    permit: usize,
}

impl DynOutputStream {
    /// An open stream into `backend`.
    pub fn new(backend: impl OutputStream) -> Self {
        Self {
            backend: Some(Box::new(backend)),
            permit: 0,
        }
    }

    /// A stream that takes nothing.
    pub const fn closed() -> Self {
        Self {
            backend: None,
            permit: 0,
        }
    }

    /// `check-write`: the permit for the next writes, in bytes; replaces the last one.
    ///
    /// # Errors
    /// [`StreamError`], and [`StreamError::Closed`] ever after.
    pub fn check_write(&mut self) -> Result<usize, StreamError> {
        let result = self.open()?.check_write();
        self.permit = self.latch(result)?;
        Ok(self.permit)
    }

    /// `write`: takes all of `bytes` and their number off the permit.
    ///
    /// # Errors
    /// [`Trap`]: `bytes` is longer than the permit. [`StreamError`]: nothing was written, and
    /// the stream is closed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Result<(), StreamError>, Trap> {
        self.take_permit(bytes.len() as u64)?;
        Ok(self.put(bytes))
    }

    /// As [`DynOutputStream::write`], for bytes that are owned already: a backend that keeps
    /// them need not copy.
    ///
    /// # Errors
    /// As [`DynOutputStream::write`].
    pub fn write_bytes(&mut self, bytes: Bytes) -> Result<Result<(), StreamError>, Trap> {
        self.take_permit(bytes.len() as u64)?;
        Ok(self.put_bytes(bytes))
    }

    /// `write-zeroes`: as [`DynOutputStream::write`], with `len` zero bytes.
    ///
    /// # Errors
    /// As [`DynOutputStream::write`].
    pub fn write_zeroes(&mut self, len: u64) -> Result<Result<(), StreamError>, Trap> {
        let mut left = self.take_permit(len)?;
        if let Err(closed) = self.open() {
            return Ok(Err(closed));
        }
        while left > 0 {
            let n = left.min(BLOCKING_WRITE_MAX);
            if let Err(error) = self.put(&[0; BLOCKING_WRITE_MAX][..n]) {
                return Ok(Err(error));
            }
            left -= n;
        }
        Ok(Ok(()))
    }

    /// `flush`: begins one; no permit is given until it has ended.
    ///
    /// # Errors
    /// As [`DynOutputStream::check_write`].
    pub fn flush(&mut self) -> Result<(), StreamError> {
        self.permit = 0;
        let result = self.open()?.flush();
        self.latch(result)
    }

    /// The wait of `blocking-flush`, after [`DynOutputStream::flush`].
    ///
    /// # Errors
    /// As [`DynOutputStream::check_write`].
    pub fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.poll_permit(cx).map_ok(drop)
    }

    /// Writes as much of `bytes` as the stream takes now, and says how many; 0 only where
    /// `bytes` is empty. Pending, it has taken none.
    ///
    /// # Errors
    /// As [`DynOutputStream::check_write`]; nothing of `bytes` was taken.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        // Nothing to write is refused as well where something would be.
        self.open()?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.permit = 0;
        let result = ready!(self.open()?.poll_write(cx, bytes));
        Poll::Ready(self.latch(result))
    }

    /// Whether a write of WASI 0.3 ends with a flush only, see
    /// [`OutputStream::waits_for_flush`].
    #[cfg(feature = "p3")]
    pub(crate) fn waits_for_flush(&self) -> bool {
        match &self.backend {
            Some(backend) => backend.waits_for_flush(),
            None => false,
        }
    }

    /// One step of a blocking write: writes what fits of `bytes` and takes it off the front.
    /// Ready when `bytes` is empty.
    ///
    /// # Errors
    /// As [`DynOutputStream::check_write`]; `bytes` is what was not written.
    pub fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut &[u8],
    ) -> Poll<Result<(), StreamError>> {
        // Nothing to write is refused as well where something would be.
        self.open()?;
        while !bytes.is_empty() {
            let n = ready!(self.poll_write(cx, bytes))?;
            *bytes = &bytes[n..];
        }
        Poll::Ready(Ok(()))
    }

    /// `splice`: moves up to `max` bytes that `source` has now and this stream takes now, and
    /// says how many.
    ///
    /// # Errors
    /// The first [`StreamError`] of `check-write` here, `read` there, or `write` here.
    pub fn splice(
        &mut self,
        source: &mut DynInputStream,
        max: usize,
    ) -> Result<usize, StreamError> {
        let max = self.check_write()?.min(max);
        let bytes = source.read(max)?;
        let len = bytes.len();
        if len > 0 {
            self.permit -= len;
            self.put_bytes(bytes)?;
        }
        Ok(len)
    }

    /// Waits until a permit of at least 1 is there.
    fn poll_permit(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        ready!(self.poll_ready(cx));
        match self.check_write()? {
            // A backend that was ready a moment ago and changed its mind: ask again later.
            0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            permit => Poll::Ready(Ok(permit)),
        }
    }

    fn take_permit(&mut self, len: u64) -> Result<usize, Trap> {
        // A closed stream answers `closed`, whatever the length.
        if self.backend.is_none() {
            return Ok(0);
        }
        match usize::try_from(len) {
            Ok(len) if len <= self.permit => {
                self.permit -= len;
                Ok(len)
            }
            _ => Err(Trap(
                "output-stream: a write is longer than check-write permitted",
            )),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let result = self.open()?.write(bytes);
        self.latch(result)
    }

    fn put_bytes(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        let result = self.open()?.write_bytes(bytes);
        self.latch(result)
    }

    fn open(&mut self) -> Result<&mut Box<dyn OutputStream>, StreamError> {
        self.backend.as_mut().ok_or(StreamError::Closed)
    }

    fn latch<T>(&mut self, result: Result<T, StreamError>) -> Result<T, StreamError> {
        if result.is_err() {
            self.backend = None;
            self.permit = 0;
        }
        result
    }
}

impl Pollable for DynOutputStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.backend {
            Some(backend) => backend.poll_ready(cx),
            None => Poll::Ready(()),
        }
    }
}
