//! Streams that need no operating system.

use crate::sync::Mutex;
use crate::{InputStream, OutputStream, Pollable, WakerSet, poll_read_held};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};
use core::task::{Context, Poll};
use wasi_error::StreamError;

/// A pipe that holds up to `capacity` bytes (at least 1): what is written comes out in order.
/// When the writer is dropped, the reader closes after the last byte; when the reader is, the
/// writer closes at once.
pub fn pipe(capacity: usize) -> (PipeWriter, PipeReader) {
    let pipe = Arc::new(Pipe {
        state: Mutex::new(PipeState {
            bytes: VecDeque::new(),
            capacity: capacity.max(1),
            open: true,
        }),
        changed: WakerSet::new(),
    });
    (PipeWriter(pipe.clone()), PipeReader(pipe))
}

struct Pipe {
    state: Mutex<PipeState>,
    changed: WakerSet,
}

struct PipeState {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Both ends are there.
    open: bool,
}

impl Pipe {
    /// Gives `f` the state; while it answers `Pending`, the waker of `cx` is kept.
    fn poll<T>(&self, cx: &mut Context<'_>, f: impl FnOnce(&mut PipeState) -> Poll<T>) -> Poll<T> {
        let mut state = self.state.lock();
        let poll = f(&mut state);
        if poll.is_pending() {
            // Under the lock, so that no change comes between.
            self.changed.register(cx.waker());
        }
        poll
    }

    fn close(&self) {
        self.state.lock().open = false;
        self.changed.wake_all();
    }
}

/// The writing end of a [`pipe`].
pub struct PipeWriter(Arc<Pipe>);

impl Pollable for PipeWriter {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx, |state| match state.room() {
            Ok(0) => Poll::Pending,
            _ => Poll::Ready(()),
        })
    }
}

impl PipeState {
    fn room(&self) -> Result<usize, StreamError> {
        match self.open {
            true => Ok(self.capacity.saturating_sub(self.bytes.len())),
            false => Err(StreamError::Closed),
        }
    }
}

impl OutputStream for PipeWriter {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        self.0.state.lock().room()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        {
            let mut state = self.0.state.lock();
            state.room()?;
            state.bytes.extend(bytes);
        }
        self.0.changed.wake_all();
        Ok(())
    }

    fn waits_for_flush(&self) -> bool {
        false
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The reading end of a [`pipe`].
pub struct PipeReader(Arc<Pipe>);

impl Pollable for PipeReader {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0
            .poll(cx, |state| match state.bytes.is_empty() && state.open {
                true => Poll::Pending,
                false => Poll::Ready(()),
            })
    }
}

impl InputStream for PipeReader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        let result = core::task::ready!(self.0.poll(cx, |state| {
            let n = buf.len().min(state.bytes.len());
            if n == 0 && !buf.is_empty() {
                return match state.open {
                    true => Poll::Pending,
                    false => Poll::Ready(Err(StreamError::Closed)),
                };
            }
            state.bytes.copy_to_slice(&mut buf[..n]);
            Poll::Ready(Ok(n))
        }));
        self.0.changed.wake_all();
        Poll::Ready(result)
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// An input of bytes that are all there: given out in order, then closed.
#[derive(Clone, Debug, Default)]
pub struct Input(Bytes);

impl Input {
    /// With `bytes` to read; [`Input::default`] is at its end.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

impl Pollable for Input {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl InputStream for Input {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        poll_read_held(self, cx, buf)
    }

    fn poll_read_bytes(
        &mut self,
        _: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        Poll::Ready(match self.0.is_empty() && max > 0 {
            true => Err(StreamError::Closed),
            false => Ok(self.0.split_to(max.min(self.0.len()))),
        })
    }
}

/// An output that keeps up to a number of bytes, then is closed; clones share them.
#[derive(Clone, Debug)]
pub struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl Output {
    /// Keeps up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: Arc::default(),
            limit,
        }
    }

    /// What was written so far.
    pub fn contents(&self) -> Vec<u8> {
        self.bytes.lock().clone()
    }
}

impl Pollable for Output {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl OutputStream for Output {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        match self.limit - self.bytes.lock().len() {
            0 => Err(StreamError::Closed),
            room => Ok(room),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let mut kept = self.bytes.lock();
        if bytes.len() > self.limit - kept.len() {
            return Err(StreamError::Closed);
        }
        kept.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn waits_for_flush(&self) -> bool {
        false
    }
}

/// An output that takes everything and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sink;

impl Pollable for Sink {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl OutputStream for Sink {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(1 << 20)
    }

    fn write(&mut self, _: &[u8]) -> Result<(), StreamError> {
        Ok(())
    }

    fn waits_for_flush(&self) -> bool {
        false
    }
}
