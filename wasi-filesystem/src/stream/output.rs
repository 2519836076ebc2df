use super::{MIN_BUFFER, Waiting};
use crate::ErrorCode;
use crate::backend::{File, Result};
use crate::descriptor::Open;
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::{Buf, Bytes, BytesMut};
use core::task::{Context, Poll, Waker, ready};
use wasi_io::{Op, OutputStream, Pollable, StreamError};

/// What a stream takes between two looks at it.
const PERMIT: usize = 64 << 10;

/// Writes into a file. What the backend does at once is done when `write` returns; else the
/// stream holds the bytes, and gives no permit until they are with the backend.
pub(crate) struct FileOutputStream {
    open: Arc<Open>,
    file: Arc<dyn File>,
    /// Where the next byte goes; `None` is the end.
    position: Option<u64>,
    /// Under way.
    writing: Option<Box<Writing>>,
    failed: Option<ErrorCode>,
    permit: usize,
}

struct Writing {
    waiting: Waiting<Result<usize>>,
    /// What is under way, from `position` on.
    bytes: Bytes,
    /// What comes after it.
    later: BytesMut,
}

impl FileOutputStream {
    pub(crate) fn new(open: Arc<Open>, file: Arc<dyn File>, position: Option<u64>) -> Self {
        let permit = match open.guest().buffered.take(PERMIT) {
            true => PERMIT,
            false => MIN_BUFFER,
        };
        Self {
            open,
            file,
            position,
            writing: None,
            failed: None,
            permit,
        }
    }

    /// Writes what the backend takes at once off the front of `bytes`, and says what comes of
    /// the rest, if there is any.
    fn write_now(&mut self, bytes: &mut &[u8]) -> Result<Option<Waiting<Result<usize>>>> {
        while !bytes.is_empty() {
            let op = match self.position {
                Some(position) => self.file.write_at(position, bytes),
                None => self.file.append(bytes),
            };
            self.open.changed();
            match op {
                Op::Ready(written) => {
                    let written = self.written(written, bytes.len())?;
                    *bytes = &bytes[written..];
                }
                Op::Pending(future) => return Ok(Some(Waiting::new(future))),
            }
        }
        Ok(None)
    }

    /// Takes note of a write of `len` bytes that ended, and says how many of them it was.
    fn written(&mut self, written: Result<usize>, len: usize) -> Result<usize> {
        // No byte and no error: to go on would be to go on for ever.
        let written = match written?.min(len) {
            0 => return Err(ErrorCode::Io),
            written => written,
        };
        if let Some(position) = &mut self.position {
            *position = position.saturating_add(written as u64);
        }
        Ok(written)
    }

    /// Ready when nothing is under way any more.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some(mut writing) = self.writing.take() {
            let Poll::Ready(written) = writing.waiting.poll(cx) else {
                self.writing = Some(writing);
                return Poll::Pending;
            };
            self.open.changed();
            let written = self.written(written, writing.bytes.len())?;
            writing.bytes.advance(written);
            if writing.bytes.is_empty() {
                writing.bytes = writing.later.split().freeze();
            }
            let mut rest = &writing.bytes[..];
            if let Some(waiting) = self.write_now(&mut rest)? {
                let done = writing.bytes.len() - rest.len();
                writing.bytes.advance(done);
                writing.waiting = waiting;
                self.writing = Some(writing);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Fails once with what a write before failed with.
    fn check(&mut self) -> Result<(), StreamError> {
        match self.failed.take() {
            Some(code) => Err(StreamError::failed(code)),
            None => Ok(()),
        }
    }

    /// Begins to write `bytes`; `owned` are the same bytes, to be kept where they must be.
    fn put(&mut self, bytes: &[u8], owned: Option<&Bytes>) -> Result<(), StreamError> {
        self.check()?;
        if let Some(writing) = &mut self.writing {
            writing.later.extend_from_slice(bytes);
            return Ok(());
        }
        let mut rest = bytes;
        if let Some(waiting) = self.write_now(&mut rest).map_err(StreamError::failed)? {
            let bytes = match owned {
                Some(bytes) => bytes.slice(bytes.len() - rest.len()..),
                None => Bytes::copy_from_slice(rest),
            };
            self.writing = Some(Box::new(Writing {
                waiting,
                bytes,
                later: BytesMut::new(),
            }));
        }
        Ok(())
    }
}

impl Pollable for FileOutputStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Err(code) = ready!(self.poll_written(cx)) {
            self.failed = Some(code);
        }
        Poll::Ready(())
    }
}

impl OutputStream for FileOutputStream {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        let mut cx = Context::from_waker(Waker::noop());
        if self.writing.is_some() && self.poll_ready(&mut cx).is_pending() {
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
            self.open.guest().buffered.give(PERMIT);
        }
    }
}
