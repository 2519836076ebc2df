//! Bodies that a guest reads.

use crate::guest_fields::strip_forbidden;
use crate::{Body, Fields, Frame, memory};
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::{Buf, Bytes};
use core::mem;
use core::task::{Context, Poll, Waker, ready};
use wasi_error::StreamError;
use wasi_error::http::ErrorCode;
use wasi_io::sync::Mutex;
use wasi_io::{DynInputStream, InputStream, Pollable, SharedWaker};

/// So many parts of a body are dropped in one go, while only its trailers are wanted, before
/// other tasks get their turn.
const SKIP_MAX: usize = 32;

/// A body on its way in, and how far it has come.
pub(crate) struct Source {
    body: Box<dyn Body>,
    /// What was taken from the body and not yet by the guest.
    pub(crate) chunk: Bytes,
    pub(crate) trailers: Option<Fields>,
    end: Option<Result<(), ErrorCode>>,
}

impl Source {
    pub(crate) fn new(body: Box<dyn Body>) -> Self {
        Self {
            body,
            chunk: Bytes::new(),
            trailers: None,
            end: None,
        }
    }

    /// Ready when `chunk` has something, or with how the body ended.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(), ErrorCode>>> {
        while self.chunk.is_empty() {
            if let Some(end) = &self.end {
                return Poll::Ready(Some(end.clone()));
            }
            match ready!(self.body.poll_frame(cx)) {
                Some(Ok(Frame::Data(data))) => self.chunk = data,
                Some(Ok(Frame::Trailers(mut fields))) => {
                    strip_forbidden(&mut fields);
                    self.trailers = Some(fields);
                    self.end = Some(Ok(()));
                }
                Some(Err(code)) => self.end = Some(Err(code)),
                None => self.end = Some(Ok(())),
            }
        }
        Poll::Ready(None)
    }

    /// Ends it with `code`, unless it has ended, and gives the body to be dropped.
    pub(crate) fn abort(&mut self, code: ErrorCode) -> Option<Box<dyn Body>> {
        if self.end.is_some() {
            return None;
        }
        self.end = Some(Err(code));
        self.chunk = Bytes::new();
        Some(mem::replace(&mut self.body, Box::new(memory::Empty)))
    }

    /// Drops the content; ready at the end.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        for _ in 0..SKIP_MAX {
            match ready!(self.poll_chunk(cx)) {
                None => self.chunk.clear(),
                Some(end) => return Poll::Ready(end),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// An `incoming-body`: a body that the guest reads. Dropped, the rest of it is not wanted.
pub struct IncomingBody(Place);

enum Place {
    Here(Source),
    /// The stream has the source, and gives it back when it is dropped.
    Lent(Arc<Slot>),
}

type Slot = Mutex<Option<Source>>;

impl IncomingBody {
    /// The guest's view of `body`.
    pub fn new(body: Box<dyn Body>) -> Self {
        Self(Place::Here(Source::new(body)))
    }

    /// `stream`: the content; `None` from the second call on.
    ///
    /// The stream fails with the [`ErrorCode`] that the body fails with.
    pub fn stream(&mut self) -> Option<DynInputStream> {
        if let Place::Lent(_) = self.0 {
            return None;
        }
        let slot = Arc::new(Slot::default());
        match mem::replace(&mut self.0, Place::Lent(slot.clone())) {
            Place::Here(source) => Some(DynInputStream::new(Stream {
                source: Some(source),
                waker: SharedWaker::new(),
                slot,
            })),
            Place::Lent(_) => None,
        }
    }

    /// `finish`: the trailer fields, once the body has ended. The stream must have been
    /// dropped; what it did not read is dropped as it comes.
    pub fn finish(self) -> FutureTrailers {
        let source = match self.0 {
            Place::Here(source) => Some(source),
            Place::Lent(slot) => slot.lock().take(),
        };
        FutureTrailers {
            source,
            waker: SharedWaker::new(),
        }
    }
}

struct Stream {
    /// Some until it is dropped.
    source: Option<Source>,
    waker: SharedWaker,
    slot: Arc<Slot>,
}

impl Stream {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Bytes, StreamError>> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        Poll::Ready(
            match ready!(self.waker.poll(cx, |cx| source.poll_chunk(cx))) {
                None => Ok(&mut source.chunk),
                Some(Ok(())) => Err(StreamError::Closed),
                Some(Err(code)) => Err(StreamError::failed(code)),
            },
        )
    }
}

impl Pollable for Stream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_chunk(cx).map(drop)
    }
}

impl InputStream for Stream {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let chunk = ready!(self.poll_chunk(cx))?;
        let len = buf.len().min(chunk.len());
        chunk.copy_to_slice(&mut buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        let chunk = ready!(self.poll_chunk(cx))?;
        Poll::Ready(Ok(match max < chunk.len() {
            true => chunk.split_to(max),
            // So the guest may get the bytes without a copy.
            false => mem::take(chunk),
        }))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        *self.slot.lock() = self.source.take();
    }
}

/// A `future-trailers`: the end of a body that the guest has finished reading.
pub struct FutureTrailers {
    /// `None` once it was given out.
    source: Option<Source>,
    waker: SharedWaker,
}

/// How a body ended.
pub type Trailers = Result<Option<Fields>, ErrorCode>;

impl FutureTrailers {
    /// `get`: the trailer fields, if there are any; `None` while the body has not ended.
    ///
    /// # Errors
    /// [`AlreadyTaken`]: an earlier call gave them. The inner error is why the body ended
    /// early.
    pub fn get(&mut self) -> Option<Result<Trailers, AlreadyTaken>> {
        let Some(source) = &mut self.source else {
            return Some(Err(AlreadyTaken));
        };
        let mut cx = Context::from_waker(Waker::noop());
        match self.waker.poll(&mut cx, |cx| source.poll_end(cx)) {
            Poll::Pending => None,
            Poll::Ready(end) => {
                let trailers = source.trailers.take();
                self.source = None;
                Some(Ok(end.map(|()| trailers)))
            }
        }
    }
}

impl Pollable for FutureTrailers {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.source {
            Some(source) => self.waker.poll(cx, |cx| source.poll_end(cx)).map(drop),
            None => Poll::Ready(()),
        }
    }
}

/// What a future had was given out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the future's value was taken already")]
pub struct AlreadyTaken;
