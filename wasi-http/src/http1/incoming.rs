//! What comes in of a request, shared by its body and the connection's task: the task watches
//! for a client that leaves while the body is not read.

use super::conn::{Reader, Writer};
use super::decode::{DecodeError, Decoder};
use crate::{Body, ErrorCode, Frame};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, ready};
use wasi_io::WakerSet;
use wasi_io::sync::Mutex;

/// Whether the client waits for leave to send the content (RFC 9110, section 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continue {
    /// It does not, or was given it.
    No,
    /// It does.
    Expected,
    /// It does, and somebody reads.
    Wanted,
}

pub(super) struct Parts {
    pub(super) reader: Reader,
    pub(super) decoder: Decoder,
    pub(super) expects: Continue,
}

/// One side at a time has the parts, for a poll: no lock is held while a stream is asked, which
/// may wake tasks.
pub(super) struct Incoming {
    parts: Mutex<Option<Parts>>,
    /// Who met the other side with the parts.
    body_blocked: WakerSet,
    task_blocked: WakerSet,
    /// The task, which waits for the doings of the body.
    task: WakerSet,
    /// The body was dropped.
    given_up: AtomicBool,
}

impl Incoming {
    /// With a body; where `parts` is at its end, the body is one that has none.
    pub(super) fn new(parts: Parts) -> (Arc<Self>, Option<RequestBody>) {
        let (remaining, done) = (parts.decoder.remaining(), parts.decoder.is_done());
        let incoming = Arc::new(Self {
            parts: Mutex::new(Some(parts)),
            body_blocked: WakerSet::new(),
            task_blocked: WakerSet::new(),
            task: WakerSet::new(),
            given_up: AtomicBool::new(done),
        });
        let body = (!done).then(|| RequestBody {
            incoming: incoming.clone(),
            remaining,
            ended: false,
        });
        (incoming, body)
    }

    fn poll<T>(
        &self,
        (me, other): (&WakerSet, &WakerSet),
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Parts, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let take = || self.parts.lock().take();
        let mut parts = match take() {
            Some(parts) => parts,
            None => {
                me.register(cx.waker());
                match take() {
                    Some(parts) => parts,
                    None => return Poll::Pending,
                }
            }
        };
        let polled = f(&mut parts, cx);
        *self.parts.lock() = Some(parts);
        other.wake_all();
        polled
    }

    /// Gives `f` the parts, from the connection's task; the body's doings wake it.
    pub(super) fn poll_task<T>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Parts, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.task.register(cx.waker());
        self.poll((&self.task_blocked, &self.body_blocked), cx, f)
    }

    /// Whether the client has left, as far as can be known: it ended its side, unless
    /// `half_close` lets it, or the connection was lost. Writes the leave to send content, if
    /// it is time.
    pub(super) fn poll_left(
        &self,
        writer: &mut Writer,
        half_close: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let left = self.poll_task(cx, |parts, cx| {
            if parts.expects == Continue::Wanted {
                parts.expects = Continue::No;
                writer.put(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            // What is there has to be read before what follows can be known.
            if !parts.reader.buf().is_empty() {
                return Poll::Pending;
            }
            match ready!(parts.reader.poll_fill(cx)) {
                Ok(true) => Poll::Pending,
                Ok(false) if half_close => Poll::Pending,
                _ => Poll::Ready(()),
            }
        });
        match writer.poll_flush(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => left,
        }
    }

    /// Ready when nobody reads the content any more.
    pub(super) fn poll_unused(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_task(cx, |parts, _| {
            match parts.decoder.is_over() || self.given_up.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }

    /// The parts, once [`Incoming::poll_unused`] was ready.
    pub(super) fn into_parts(self: Arc<Self>) -> Option<Parts> {
        self.parts.lock().take()
    }
}

/// The body of a request.
pub(super) struct RequestBody {
    incoming: Arc<Incoming>,
    remaining: Option<u64>,
    ended: bool,
}

impl Body for RequestBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let incoming = self.incoming.clone();
        let blocked = (&incoming.body_blocked, &incoming.task_blocked);
        let mut wanted = false;
        let frame = incoming.poll(blocked, cx, |parts, cx| {
            if parts.expects == Continue::Expected {
                // A client that sends at once needs no leave.
                wanted = parts.reader.buf().is_empty();
                parts.expects = match wanted {
                    true => Continue::Wanted,
                    false => Continue::No,
                };
            }
            let frame = parts.decoder.poll_frame(&mut parts.reader, cx);
            self.remaining = parts.decoder.remaining();
            self.ended = parts.decoder.is_over();
            frame
        });
        // It may be polled in the task itself: only what changed wakes that.
        if wanted || frame.is_ready() {
            incoming.task.wake_all();
        }
        let frame = ready!(frame);
        Poll::Ready(frame.map(|frame| frame.map_err(DecodeError::of_request)))
    }

    fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    fn is_end(&self) -> bool {
        self.ended
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.incoming.given_up.store(true, Ordering::Release);
        self.incoming.task.wake_all();
    }
}
