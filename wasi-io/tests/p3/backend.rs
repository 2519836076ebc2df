//! Streams that a test holds the other side of.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use wasi_io::{InputStream, OutputStream, Pollable, StreamError, WakerSet};

/// A cause of failures.
#[derive(Debug, thiserror::Error)]
#[error("the disk is on fire")]
pub(crate) struct OnFire;

/// The host's side of a [`Source`] or [`Sink`].
#[derive(Clone, Default)]
pub(crate) struct Side(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: WakerSet,
}

#[derive(Default)]
struct State {
    /// What a source has left, or a sink has taken.
    bytes: Vec<u8>,
    /// How much a sink takes.
    room: usize,
    /// A sink waits for its flush.
    flushing: bool,
    /// Whether flushes end at once.
    flushes: bool,
    end: Option<StreamError>,
    dropped: bool,
}

impl Side {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock().unwrap());
        self.0.changed.wake_all();
    }

    fn get<T>(&self, get: impl FnOnce(&State) -> T) -> T {
        get(&self.0.state.lock().unwrap())
    }

    /// Brings a source more to read.
    pub(crate) fn bring(&self, bytes: &[u8]) {
        self.change(|state| state.bytes.extend_from_slice(bytes));
    }

    /// Gives a sink room for so many bytes more.
    pub(crate) fn room(&self, bytes: usize) {
        self.change(|state| state.room += bytes);
    }

    /// Ends the flush that is on, and those to come.
    pub(crate) fn end_flush(&self) {
        self.change(|state| (state.flushing, state.flushes) = (false, true));
    }

    /// Ends the stream after what is there: closed, or failed.
    pub(crate) fn end(&self, error: StreamError) {
        self.change(|state| state.end = Some(error));
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.get(|state| state.bytes.clone())
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.get(|state| state.flushing)
    }

    /// Whether the guest's side is gone.
    pub(crate) fn is_dropped(&self) -> bool {
        self.get(|state| state.dropped)
    }

    fn poll<T>(&self, cx: &mut Context<'_>, f: impl FnOnce(&mut State) -> Poll<T>) -> Poll<T> {
        let mut state = self.0.state.lock().unwrap();
        let poll = f(&mut state);
        if poll.is_pending() {
            self.0.changed.register(cx.waker());
        }
        poll
    }
}

pub(crate) struct Source(pub(crate) Side);

impl Pollable for Source {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx, |state| {
            match state.bytes.is_empty() && state.end.is_none() {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
    }
}

impl InputStream for Source {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        self.0.poll(cx, |state| {
            if state.bytes.is_empty() {
                return state
                    .end
                    .take()
                    .map_or(Poll::Pending, |end| Poll::Ready(Err(end)));
            }
            let n = buf.len().min(state.bytes.len());
            buf[..n].copy_from_slice(&state.bytes[..n]);
            state.bytes.drain(..n);
            Poll::Ready(Ok(n))
        })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.change(|state| state.dropped = true);
    }
}

pub(crate) struct Sink(pub(crate) Side);

impl Pollable for Sink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx, |state| {
            match state.end.is_none() && (state.flushing || state.room == 0) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
    }
}

impl OutputStream for Sink {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        let mut state = self.0.0.state.lock().unwrap();
        match state.end.take() {
            Some(end) => Err(end),
            None if state.flushing => Ok(0),
            None => Ok(state.room),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.0.change(|state| {
            state.room -= bytes.len();
            state.bytes.extend_from_slice(bytes);
        });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        self.0.change(|state| state.flushing = !state.flushes);
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.0.change(|state| state.dropped = true);
    }
}

/// A sink in which nothing waits for a flush.
pub(crate) struct Direct(pub(crate) Sink);

impl Pollable for Direct {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_ready(cx)
    }
}

impl OutputStream for Direct {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        self.0.check_write()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.0.write(bytes)
    }

    fn waits_for_flush(&self) -> bool {
        false
    }
}
