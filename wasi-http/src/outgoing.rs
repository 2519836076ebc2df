//! Bodies that a guest writes: a bounded channel from its output stream to who sends it.

use crate::{Body, Fields, Frame};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use wasi_error::StreamError;
use wasi_error::http::ErrorCode;
use wasi_io::sync::Mutex;
use wasi_io::{DynOutputStream, OutputStream, Pollable, WakerSet};

/// Owned bytes are queued as they are from this length on; fewer are copied together.
const COPY_MAX: usize = 1024;

/// What a body belongs to: it decides the codes of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A request.
    Request,
    /// A response.
    Response,
}

impl MessageKind {
    /// The body has `size` bytes, which is not what `Content-Length` says.
    pub(crate) fn size_error(self, size: u64) -> ErrorCode {
        match self {
            Self::Request => ErrorCode::HttpRequestBodySize(Some(size)),
            Self::Response => ErrorCode::HttpResponseBodySize(Some(size)),
        }
    }

    /// The message was dropped, or its sending given up.
    #[cfg(feature = "p3")]
    pub(crate) fn unsent(self) -> ErrorCode {
        let message = match self {
            Self::Request => "the request was not sent",
            Self::Response => "the response was not sent",
        };
        ErrorCode::InternalError(Some(message.into()))
    }

    /// The body was given up before its end.
    fn incomplete(self) -> ErrorCode {
        match self {
            Self::Request => ErrorCode::InternalError(Some("the request was given up".into())),
            Self::Response => ErrorCode::HttpResponseIncomplete,
        }
    }
}

/// An `outgoing-body`: the guest's end of a body that it writes. Dropped without
/// [`OutgoingBody::finish`], the other end gets an error after what was written, so that the
/// peer does not take the message for a whole one.
pub struct OutgoingBody {
    channel: Arc<Channel>,
    lent: bool,
}

impl OutgoingBody {
    /// A body that a message with `Content-Length` `expected` has, and the end to send it
    /// from. Up to `window` bytes (at least 1) wait there; then the writer waits.
    ///
    /// Bytes that wait for the sender count as flushed: they are sent even if the guest ends.
    pub fn new(kind: MessageKind, expected: Option<u64>, window: usize) -> (Self, impl Body) {
        Self::with_source(kind, expected, window, None::<Source>)
    }

    /// As [`OutgoingBody::new`], with content that is not written but comes from `source`, as
    /// it is; `source` is dropped at its end, and gives only bytes that are not empty.
    pub(crate) fn with_source<S>(
        kind: MessageKind,
        expected: Option<u64>,
        window: usize,
        source: Option<S>,
    ) -> (Self, impl Body)
    where
        S: FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send + 'static,
    {
        let channel = Arc::new(Channel {
            state: Mutex::new(State {
                kind,
                expected,
                window: window.max(1),
                queue: VecDeque::new(),
                tail: Vec::new(),
                queued: 0,
                written: 0,
                absent: false,
                end: End::Open,
                reader: None,
                writers_wait: false,
                delivered: None,
                watcher: None,
            }),
            writers: WakerSet::new(),
        });
        let reader = Reader {
            channel: channel.clone(),
            source,
            read: false,
            done: false,
        };
        let body = Self {
            channel,
            lent: false,
        };
        (body, reader)
    }

    /// `write`: the stream into the body; `None` from the second call on.
    ///
    /// The stream fails with [`ErrorCode::HttpRequestBodySize`] or
    /// [`ErrorCode::HttpResponseBodySize`] when more is written than `Content-Length` says, and
    /// closes when nobody wants the body any more.
    pub fn write(&mut self) -> Option<DynOutputStream> {
        match mem::replace(&mut self.lent, true) {
            true => None,
            false => Some(DynOutputStream::new(Writer(self.channel.clone()))),
        }
    }

    /// There is no content, whatever `Content-Length` says: so it is with an answer to `HEAD`,
    /// whose body is not read.
    #[cfg(feature = "p3")]
    pub(crate) fn is_absent(&self) {
        self.channel.state.lock().absent = true;
    }

    /// Tells how the other end was left; ask before [`OutgoingBody::finish`].
    pub fn delivery(&self) -> Delivery {
        Delivery(self.channel.clone())
    }

    /// The body ends here, after what was written, with an error that the other end gets.
    pub fn fail(self, code: ErrorCode) {
        // Whoever ended it before has the last word.
        let _ = self.channel.end(|_| End::Failed(code));
    }

    /// `finish`: the body ends here, with these trailer fields. The stream must have been
    /// dropped.
    ///
    /// # Errors
    /// [`ErrorCode::HttpRequestBodySize`] or [`ErrorCode::HttpResponseBodySize`], with the
    /// bytes that were written: `Content-Length` says otherwise. It is no error that nobody
    /// wanted all of the body.
    pub fn finish(self, trailers: Option<Fields>) -> Result<(), ErrorCode> {
        self.channel.end(|state| {
            let size = state.written;
            match state.expected {
                Some(expected) if expected != size => End::Failed(state.kind.size_error(size)),
                _ => End::Finished(trailers.filter(|fields| !fields.is_empty())),
            }
        })
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        // After `finish` this finds the end decided.
        let _ = (self.channel).end(|state| End::Failed(state.kind.incomplete()));
    }
}

struct Channel {
    state: Mutex<State>,
    writers: WakerSet,
}

struct State {
    kind: MessageKind,
    expected: Option<u64>,
    window: usize,
    queue: VecDeque<Bytes>,
    /// What comes after the queue: small writes together.
    tail: Vec<u8>,
    /// The bytes of the queue and the tail.
    queued: usize,
    /// All bytes so far.
    written: u64,
    /// The message has no content, whatever `Content-Length` says.
    absent: bool,
    end: End,
    reader: Option<Waker>,
    writers_wait: bool,
    /// How the reader was left.
    delivered: Option<Result<(), ErrorCode>>,
    /// Who waits for that.
    watcher: Option<Waker>,
}

enum End {
    Open,
    Finished(Option<Fields>),
    Failed(ErrorCode),
    /// The reader went away.
    Unwanted,
}

impl Channel {
    /// Decides the end, unless it is decided.
    fn end(&self, decide: impl FnOnce(&State) -> End) -> Result<(), ErrorCode> {
        let (result, reader) = {
            let mut state = self.state.lock();
            if let End::Open = state.end {
                state.end = decide(&state);
            }
            let result = match &state.end {
                End::Failed(code) => Err(code.clone()),
                _ => Ok(()),
            };
            (result, state.reader.take())
        };
        reader.into_iter().for_each(Waker::wake);
        result
    }

    fn put(&self, len: usize, add: impl FnOnce(&mut State)) -> Result<(), StreamError> {
        let (result, reader) = {
            let mut state = self.state.lock();
            let result = state.count(len);
            if result.is_ok() {
                add(&mut state);
            }
            (result, state.reader.take())
        };
        reader.into_iter().for_each(Waker::wake);
        result
    }
}

impl State {
    fn room(&self) -> Result<usize, StreamError> {
        match &self.end {
            End::Open => Ok(self.window.saturating_sub(self.queued)),
            _ => Err(StreamError::Closed),
        }
    }

    /// Counts `len` bytes more as written; too many fail the whole body.
    fn count(&mut self, len: usize) -> Result<(), StreamError> {
        self.room()?;
        let written = self.written.saturating_add(len as u64);
        if self.expected.is_some_and(|expected| written > expected) {
            let code = self.kind.size_error(written);
            self.end = End::Failed(code.clone());
            return Err(StreamError::failed(code));
        }
        self.written = written;
        self.queued += len;
        Ok(())
    }

    /// Decides how the reader was left, unless it is decided, and gives who is to be woken.
    fn deliver(&mut self, delivered: Result<(), ErrorCode>) -> Option<Waker> {
        self.delivered.get_or_insert(delivered);
        self.watcher.take()
    }

    /// Counts `len` bytes that are not queued, and says whether they belong to the body.
    fn pass(&mut self, len: usize) -> bool {
        let counted = self.count(len).is_ok();
        if counted {
            self.queued -= len;
        }
        counted
    }

    fn take(&mut self) -> Option<Bytes> {
        let data = match self.queue.pop_front() {
            Some(data) => data,
            None if self.tail.is_empty() => return None,
            None => mem::take(&mut self.tail).into(),
        };
        self.queued -= data.len();
        Some(data)
    }
}

/// How the end that a body is sent from was left: what 0.3 tells a guest of a message's
/// transmission.
///
/// Success once all of the body was read from there, or all that `Content-Length` says, or where
/// there is no content to read. The body's own error where it failed, and [`ErrorCode::ConnectionTerminated`] where the rest was
/// not wanted.
pub struct Delivery(Arc<Channel>);

impl Future for Delivery {
    type Output = Result<(), ErrorCode>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock();
        if let Some(delivered) = &state.delivered {
            return Poll::Ready(delivered.clone());
        }
        let last = state.watcher.replace(cx.waker().clone());
        // Outside of the lock, as in `poll_frame`.
        drop(state);
        drop(last);
        Poll::Pending
    }
}

struct Writer(Arc<Channel>);

impl Pollable for Writer {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.state.lock();
        if !matches!(state.room(), Ok(0)) {
            return Poll::Ready(());
        }
        state.writers_wait = true;
        // Under the lock, so that no change comes between.
        self.0.writers.register(cx.waker());
        Poll::Pending
    }
}

impl OutputStream for Writer {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        self.0.state.lock().room()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        (self.0).put(bytes.len(), |state| state.tail.extend_from_slice(bytes))
    }

    fn write_bytes(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        if bytes.len() < COPY_MAX {
            return self.write(&bytes);
        }
        self.0.put(bytes.len(), |state| {
            if !state.tail.is_empty() {
                let tail = mem::take(&mut state.tail);
                state.queue.push_back(tail.into());
            }
            state.queue.push_back(bytes);
        })
    }
}

struct Reader<S> {
    channel: Arc<Channel>,
    /// Where content comes from that is not written; `None` after its end.
    source: Option<S>,
    /// Somebody has asked for a part.
    read: bool,
    /// The end was read.
    done: bool,
}

/// A body's source that no body has.
type Source = fn(&mut Context<'_>) -> Poll<Option<Bytes>>;

impl<S> Body for Reader<S>
where
    S: FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send + 'static,
{
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        if self.done {
            return Poll::Ready(None);
        }
        self.read = true;
        if let Some(source) = &mut self.source {
            // An end that is decided meanwhile is an error.
            let last = (self.channel.state.lock().reader).replace(cx.waker().clone());
            drop(last);
            match source(cx) {
                Poll::Pending if self.channel.state.lock().room().is_ok() => return Poll::Pending,
                Poll::Ready(Some(data)) if self.channel.state.lock().pass(data.len()) => {
                    return Poll::Ready(Some(Ok(Frame::Data(data))));
                }
                _ => self.source = None,
            }
        }
        let mut state = self.channel.state.lock();
        if let Some(data) = state.take() {
            let wake = mem::take(&mut state.writers_wait);
            drop(state);
            if wake {
                self.channel.writers.wake_all();
            }
            return Poll::Ready(Some(Ok(Frame::Data(data))));
        }
        let (last, delivered) = match &mut state.end {
            End::Open => {
                let last = state.reader.replace(cx.waker().clone());
                // Outside of the lock: what a waker holds may hold the other end.
                drop(state);
                drop(last);
                return Poll::Pending;
            }
            End::Finished(trailers) => {
                let trailers = trailers.take().map(|fields| Ok(Frame::Trailers(fields)));
                (trailers, Ok(()))
            }
            End::Failed(code) => (Some(Err(code.clone())), Err(code.clone())),
            End::Unwanted => (None, Err(ErrorCode::ConnectionTerminated)),
        };
        let watcher = state.deliver(delivered);
        drop(state);
        watcher.into_iter().for_each(Waker::wake);
        self.done = true;
        Poll::Ready(last)
    }

    fn remaining(&self) -> Option<u64> {
        let state = self.channel.state.lock();
        let queued = state.queued as u64;
        match &state.end {
            End::Finished(None) => Some(queued),
            End::Open => Some(state.expected? - (state.written - queued)),
            End::Finished(Some(_)) | End::Failed(_) | End::Unwanted => None,
        }
    }

    fn is_end(&self) -> bool {
        if self.done {
            return true;
        }
        let state = self.channel.state.lock();
        state.queued == 0 && matches!(state.end, End::Finished(None))
    }
}

impl<S> Drop for Reader<S> {
    fn drop(&mut self) {
        let watcher;
        let unwanted = {
            let mut state = self.channel.state.lock();
            // Who has all that `Content-Length` says is at the end before the guest says so,
            // and the guest, which has yet to flush and finish, has done nothing wrong.
            let has_all = state.queued == 0 && state.expected == Some(state.written);
            let delivered = match &state.end {
                _ if state.absent && !self.read => Ok(()),
                End::Failed(code) => Err(code.clone()),
                End::Finished(None) if state.queued == 0 => Ok(()),
                End::Open | End::Finished(_) if has_all => Ok(()),
                _ => Err(ErrorCode::ConnectionTerminated),
            };
            state.queued = 0;
            if matches!(state.end, End::Open) && !has_all {
                state.end = End::Unwanted;
            }
            watcher = state.deliver(delivered);
            let (queue, tail) = (mem::take(&mut state.queue), mem::take(&mut state.tail));
            (queue, tail, state.reader.take())
        };
        drop(unwanted);
        watcher.into_iter().for_each(Waker::wake);
        self.channel.writers.wake_all();
    }
}
