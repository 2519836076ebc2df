use super::{MIN_BUFFER, PIECE_MAX, Waiting};
use crate::ErrorCode;
use crate::backend::{File, Result};
use crate::descriptor::Open;
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::{Buf, Bytes, BytesMut};
use core::task::{Context, Poll, ready};
use wasi_io::Op;

/// Writes into a file: from a place on, or always to its end.
pub(crate) struct Writer {
    open: Arc<Open>,
    file: Arc<dyn File>,
    /// Where the next byte goes; `None` is the end.
    position: Option<u64>,
    /// Under way, of bytes that are kept here.
    writing: Option<Box<Writing>>,
    /// Under way, of bytes that are the caller's.
    #[cfg(feature = "p3")]
    lent: Option<Lent>,
}

struct Writing {
    waiting: Waiting<Result<usize>>,
    /// What is under way, from `position` on.
    bytes: Bytes,
    /// What comes after it.
    later: BytesMut,
    #[cfg(feature = "p3")]
    _held: Option<Held>,
}

#[cfg(feature = "p3")]
struct Lent {
    future: wasi_io::BoxFuture<Result<usize>>,
    /// How many bytes of the caller's.
    len: usize,
    /// What the guest's count of buffered bytes has of the backend's copy of them.
    held: Option<Held>,
}

/// A part of the bytes that a guest's streams may hold.
#[cfg(feature = "p3")]
struct Held {
    open: Arc<Open>,
    bytes: usize,
}

#[cfg(feature = "p3")]
impl Drop for Held {
    fn drop(&mut self) {
        self.open.guest().buffered.give(self.bytes);
    }
}

impl Writer {
    pub(crate) fn new(open: Arc<Open>, file: Arc<dyn File>, position: Option<u64>) -> Self {
        Self {
            open,
            file,
            position,
            writing: None,
            #[cfg(feature = "p3")]
            lent: None,
        }
    }

    pub(super) fn open(&self) -> &Open {
        &self.open
    }

    /// Whether bytes that are kept here are not with the backend yet.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    fn begin(&self, bytes: &[u8]) -> Op<Result<usize>> {
        let op = match self.position {
            Some(position) => self.file.write_at(position, bytes),
            None => self.file.append(bytes),
        };
        self.open.changed();
        op
    }

    /// Writes what the backend takes at once off the front of `bytes`, and says what comes of
    /// the rest, if there is any.
    fn write_now(&mut self, bytes: &mut &[u8]) -> Result<Option<Waiting<Result<usize>>>> {
        while !bytes.is_empty() {
            match self.begin(bytes) {
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

    /// Ready when nothing that is kept here is under way any more.
    pub(crate) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
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

    /// Begins to write `bytes`; `owned` are the same bytes, to be kept where they must be.
    pub(super) fn put(&mut self, bytes: &[u8], owned: Option<&Bytes>) -> Result<()> {
        if let Some(writing) = &mut self.writing {
            writing.later.extend_from_slice(bytes);
            return Ok(());
        }
        let mut rest = bytes;
        if let Some(waiting) = self.write_now(&mut rest)? {
            let bytes = match owned {
                Some(bytes) => bytes.slice(bytes.len() - rest.len()..),
                None => Bytes::copy_from_slice(rest),
            };
            self.writing = Some(Box::new(Writing {
                waiting,
                bytes,
                later: BytesMut::new(),
                #[cfg(feature = "p3")]
                _held: None,
            }));
        }
        Ok(())
    }
}

#[cfg(feature = "p3")]
impl Writer {
    /// Writes as many of `bytes` (at least 1) as the backend takes in one step, and says how
    /// many. Pending, some are under way: the caller comes again with the same bytes, or has
    /// them kept ([`Self::keep`]).
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        ready!(self.poll_written(cx))?;
        let mut lent = match self.lent.take() {
            Some(lent) => lent,
            None => match self.lend(bytes) {
                Ok(written) => return Poll::Ready(written),
                Err(lent) => lent,
            },
        };
        match lent.future.as_mut().poll(cx) {
            Poll::Ready(written) => {
                self.open.changed();
                Poll::Ready(self.written(written, lent.len))
            }
            Poll::Pending => {
                self.lent = Some(lent);
                Poll::Pending
            }
        }
    }

    /// What comes of a step at once, or else what is under way.
    fn lend(&mut self, bytes: &[u8]) -> Result<Result<usize>, Lent> {
        // A backend that has to wait makes a copy, and can't be told to make it smaller then.
        let mut len = bytes.len().min(PIECE_MAX);
        let counted = len > MIN_BUFFER && self.open.guest().buffered.take(len);
        if !counted {
            len = len.min(MIN_BUFFER);
        }
        match self.begin(&bytes[..len]) {
            Op::Ready(written) => {
                if counted {
                    self.open.guest().buffered.give(len);
                }
                Ok(self.written(written, len))
            }
            Op::Pending(future) => {
                let held = counted.then(|| Held {
                    open: self.open.clone(),
                    bytes: len,
                });
                Err(Lent { future, len, held })
            }
        }
    }

    /// Keeps those of `bytes` that are under way, and says how many: they are written whether
    /// or not the caller comes again.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> usize {
        let Some(lent) = self.lent.take() else {
            return 0;
        };
        self.writing = Some(Box::new(Writing {
            waiting: Waiting::new(lent.future),
            bytes: Bytes::copy_from_slice(&bytes[..lent.len]),
            later: BytesMut::new(),
            _held: lent.held,
        }));
        lent.len
    }
}
