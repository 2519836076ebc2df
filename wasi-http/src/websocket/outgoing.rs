//! A message that is sent as a stream.

use super::connection::Shared;
use super::utf8::Utf8;
use super::{ErrorCode, MessageType, Piece};
use alloc::sync::Arc;
use bytes::Bytes;
use core::mem;
use core::task::{Context, Poll, Waker};
use wasi_error::StreamError;
use wasi_io::sync::Mutex;
use wasi_io::{DynOutputStream, OutputStream, Pollable};

/// An `outgoing-message` (`agave:websocket/types.outgoing-message`). Dropped before
/// [`OutgoingMessage::finish`], after something of it was written, the connection ends with
/// [`ErrorCode::MessageAbandoned`].
pub struct OutgoingMessage {
    shared: Arc<Shared>,
    progress: Arc<Mutex<Progress>>,
    kind: MessageType,
    lent: bool,
    finished: bool,
}

/// What was written.
#[derive(Default)]
struct Progress {
    begun: bool,
    utf8: Utf8,
    /// Something was refused.
    invalid: bool,
}

impl OutgoingMessage {
    pub(super) fn new(shared: Arc<Shared>, kind: MessageType) -> Self {
        Self {
            shared,
            progress: Arc::default(),
            kind,
            lent: false,
            finished: false,
        }
    }

    /// `write`: the stream of the content; `None` from the second call on.
    ///
    /// The stream fails with [`ErrorCode::InvalidArgument`] for a text that is not UTF-8, of
    /// which nothing is taken, and with how the connection ended.
    pub fn write(&mut self) -> Option<DynOutputStream> {
        match mem::replace(&mut self.lent, true) {
            true => None,
            false => Some(DynOutputStream::new(Writer {
                shared: self.shared.clone(),
                progress: self.progress.clone(),
                kind: self.kind,
            })),
        }
    }

    /// `finish`: the message is whole. The stream must have been dropped.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: a text ends within a character, or some of it was
    ///   refused; the message is abandoned.
    /// - How the connection ended.
    pub fn finish(mut self) -> Result<(), ErrorCode> {
        {
            let progress = self.progress.lock();
            if progress.invalid || !progress.utf8.is_whole() {
                return Err(ErrorCode::InvalidArgument);
            }
        }
        self.finished = true;
        let piece = Piece {
            kind: self.kind,
            data: Bytes::new(),
            last: true,
        };
        self.shared.with(|state| state.send(piece))
    }
}

impl Drop for OutgoingMessage {
    fn drop(&mut self) {
        let abandoned = !self.finished && self.progress.lock().begun;
        self.shared.change(|state| {
            state.end_sending();
            if abandoned {
                state.fail(ErrorCode::MessageAbandoned);
            }
        });
    }
}

struct Writer {
    shared: Arc<Shared>,
    progress: Arc<Mutex<Progress>>,
    kind: MessageType,
}

impl Pollable for Writer {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        (self.shared).poll_send(cx, |state, cx| state.poll_room(cx).map(drop))
    }
}

impl OutputStream for Writer {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        let cx = &mut Context::from_waker(Waker::noop());
        match self.shared.poll_send(cx, |state, cx| state.poll_room(cx)) {
            Poll::Ready(room) => room.map_err(StreamError::failed),
            Poll::Pending => Ok(0),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.write_bytes(Bytes::copy_from_slice(bytes))
    }

    fn write_bytes(&mut self, data: Bytes) -> Result<(), StreamError> {
        if data.is_empty() {
            return Ok(());
        }
        let mut progress = self.progress.lock();
        if self.kind == MessageType::Text && progress.utf8.push(&data).is_err() {
            progress.invalid = true;
            return Err(StreamError::failed(ErrorCode::InvalidArgument));
        }
        progress.begun = true;
        let piece = Piece {
            kind: self.kind,
            data,
            last: false,
        };
        let sent = self.shared.with(|state| state.send(piece));
        sent.map_err(StreamError::failed)
    }
}
