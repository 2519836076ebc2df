//! Bodies that a guest reads as a stream with its end beside it.

use crate::incoming::{Source, Trailers};
use crate::{Body, ErrorCode};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use bytes::{Buf, Bytes};
use core::mem;
use core::task::{Context, Poll, Waker, ready};
use wasi_io::sync::Mutex;

/// The content of a body that was consumed: what `consume-body` of 0.3 gives as a stream.
/// Dropped, the rest of it is not wanted.
pub struct BodyContent(Arc<Slot>);

/// The end of a body that was consumed, beside its content. With both dropped, so is the body.
pub struct BodyEnd(Arc<Slot>);

/// What can end a body that was consumed; it does not keep it.
pub struct BodyAbort(Weak<Slot>);

#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    /// Out while it is polled: never under the lock.
    source: Option<Source>,
    /// The error that the body was given, while its source was out.
    aborted: Option<ErrorCode>,
    /// The content was dropped or has ended: the rest is the end's.
    content_gone: bool,
    content: Option<Waker>,
    end: Option<Waker>,
}

impl Slot {
    /// What `poll` says of the source.
    fn poll<R>(&self, poll: impl FnOnce(&mut Source) -> Poll<R>) -> Poll<R> {
        let Some(mut source) = self.0.lock().source.take() else {
            return Poll::Pending;
        };
        let result = poll(&mut source);
        let mut state = self.0.lock();
        let aborted = (state.aborted.take()).and_then(|code| source.abort(code));
        state.source = Some(source);
        drop(state);
        drop(aborted);
        result
    }

    fn wake(&self, waker: impl FnOnce(&mut State) -> Option<Waker>) {
        let waker = waker(&mut self.0.lock());
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Keeps the waker; the last one is dropped outside of the lock.
fn keep(slot: &Slot, cx: &Context<'_>, place: impl FnOnce(&mut State) -> &mut Option<Waker>) {
    let last = place(&mut slot.0.lock()).replace(cx.waker().clone());
    drop(last);
}

impl BodyContent {
    /// The guest's view of `body`: its content, and its end.
    pub fn new(body: Box<dyn Body>) -> (Self, BodyEnd) {
        let slot = Arc::new(Slot::default());
        slot.0.lock().source = Some(Source::new(body));
        (Self(slot.clone()), BodyEnd(slot))
    }

    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Bytes) -> R,
    ) -> Poll<Option<R>> {
        let polled = self.0.poll(|source| {
            Poll::Ready(match ready!(source.poll_chunk(cx)) {
                None => Some(take(&mut source.chunk)),
                Some(_) => None,
            })
        });
        match polled {
            Poll::Pending => keep(&self.0, cx, |state| &mut state.content),
            Poll::Ready(None) => self.gone(),
            Poll::Ready(Some(_)) => {}
        }
        polled
    }

    fn gone(&self) {
        self.0.wake(|state| {
            state.content_gone = true;
            state.end.take()
        });
    }

    /// Ready when there is something to read, or nothing will be.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, |_| ()).map(drop)
    }

    /// Reads up to `buf.len()` bytes, which is not 0, and says how many; 0 when there are no
    /// more, whyever.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<usize> {
        let read = self.poll(cx, |chunk| {
            let len = buf.len().min(chunk.len());
            chunk.copy_to_slice(&mut buf[..len]);
            len
        });
        read.map(Option::unwrap_or_default)
    }

    /// The next bytes as the body has them, without a copy; `None` when there are no more.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll(cx, mem::take)
    }
}

impl Drop for BodyContent {
    fn drop(&mut self) {
        self.gone();
    }
}

impl BodyEnd {
    /// How the body ended, with its trailer fields if it has any. Pending until the content was
    /// read to its end or dropped; in that case the rest is dropped as it comes. Ready once.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Trailers> {
        keep(&self.0, cx, |state| &mut state.end);
        if !self.0.0.lock().content_gone {
            return Poll::Pending;
        }
        self.0.poll(|source| {
            let end = ready!(source.poll_end(cx));
            Poll::Ready(end.map(|()| source.trailers.take()))
        })
    }

    /// What can end the body early.
    pub fn abort(&self) -> BodyAbort {
        BodyAbort(Arc::downgrade(&self.0))
    }
}

impl BodyAbort {
    /// The body is not wanted any more, because of `code`: it is dropped now, and that is how it
    /// ends, unless it had ended.
    pub fn now(self, code: ErrorCode) {
        let Some(slot) = self.0.upgrade() else {
            return;
        };
        let mut state = slot.0.lock();
        let dropped = match &mut state.source {
            Some(source) => source.abort(code),
            None => {
                state.aborted = Some(code);
                None
            }
        };
        let wakers = [state.content.take(), state.end.take()];
        drop(state);
        drop(dropped);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}
