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
    /// The error that the body was given while its source was out.
    aborted: Option<ErrorCode>,
    /// The content was dropped or has ended: the rest is the end's.
    content_gone: bool,
    content: Option<Waker>,
    end: Option<Waker>,
}

impl Slot {
    /// What `poll` says of the source; the waker in `place` is woken when somebody else ends it.
    fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        place: fn(&mut State) -> &mut Option<Waker>,
        mut poll: impl FnMut(&mut Source, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        loop {
            let mut state = self.0.lock();
            let last = keep(place(&mut state), cx);
            let source = state.source.take();
            drop(state);
            drop(last);
            let Some(mut source) = source else {
                return Poll::Pending;
            };
            let result = poll(&mut source, cx);
            let mut state = self.0.lock();
            let Some(code) = state.aborted.take() else {
                state.source = Some(source);
                return result;
            };
            let dropped = source.abort(code);
            state.source = Some(source);
            drop(state);
            drop(dropped);
        }
    }
}

/// Keeps the waker, and gives the last one to be dropped outside of the lock.
fn keep(place: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match place {
        Some(known) if known.will_wake(cx.waker()) => None,
        place => place.replace(cx.waker().clone()),
    }
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
        mut take: impl FnMut(&mut Bytes) -> R,
    ) -> Poll<Option<R>> {
        let polled = self.0.poll(
            cx,
            |state| &mut state.content,
            |source, cx| {
                Poll::Ready(match ready!(source.poll_chunk(cx)) {
                    None => Some(take(&mut source.chunk)),
                    Some(_) => None,
                })
            },
        );
        if let Poll::Ready(None) = polled {
            self.gone();
        }
        polled
    }

    fn gone(&self) {
        let mut state = self.0.0.lock();
        state.content_gone = true;
        let wakers = [state.content.take(), state.end.take()];
        drop(state);
        let [content, end] = wakers;
        drop(content);
        end.into_iter().for_each(Waker::wake);
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
        let mut state = self.0.0.lock();
        if !state.content_gone {
            let last = keep(&mut state.end, cx);
            drop(state);
            drop(last);
            return Poll::Pending;
        }
        drop(state);
        self.0.poll(
            cx,
            |state| &mut state.end,
            |source, cx| {
                let end = ready!(source.poll_end(cx));
                Poll::Ready(end.map(|()| source.trailers.take()))
            },
        )
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
