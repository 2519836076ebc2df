use super::{MIN_BUFFER, Writer};
use crate::ErrorCode;
use bytes::Bytes;
use core::task::{Context, Poll, Waker, ready};
use wasi_io::{OutputStream, Pollable, StreamError};

/// What a stream takes between two looks at it.
const PERMIT: usize = 64 << 10;

/// Writes into a file. What the backend does at once is done when `write` returns; else the
/// stream holds the bytes, and gives no permit until they are with the backend.
pub(crate) struct FileOutputStream {
    writer: Writer,
    failed: Option<ErrorCode>,
    permit: usize,
}

impl FileOutputStream {
    pub(crate) fn new(writer: Writer) -> Self {
        let permit = match writer.open().guest().buffered.take(PERMIT) {
            true => PERMIT,
            false => MIN_BUFFER,
        };
        Self {
            writer,
            failed: None,
            permit,
        }
    }

    /// Fails once with what a write before failed with.
    fn check(&mut self) -> Result<(), StreamError> {
        match self.failed.take() {
            Some(code) => Err(StreamError::failed(code)),
            None => Ok(()),
        }
    }

    fn put(&mut self, bytes: &[u8], owned: Option<&Bytes>) -> Result<(), StreamError> {
        self.check()?;
        self.writer.put(bytes, owned).map_err(StreamError::failed)
    }
}

impl Pollable for FileOutputStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Err(code) = ready!(self.writer.poll_written(cx)) {
            self.failed = Some(code);
        }
        Poll::Ready(())
    }
}

impl OutputStream for FileOutputStream {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        let mut cx = Context::from_waker(Waker::noop());
        if self.writer.is_writing() && self.poll_ready(&mut cx).is_pending() {
            return Ok(0);
        }
        self.check()?;
        Ok(self.permit)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.put(bytes, None)
    }

    fn write_bytes(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.put(&bytes, Some(&bytes))
    }
}

impl Drop for FileOutputStream {
    fn drop(&mut self) {
        if self.permit == PERMIT {
            self.writer.open().guest().buffered.give(PERMIT);
        }
    }
}
