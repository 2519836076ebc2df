//! A message that is received as a stream.

use super::connection::Shared;
use super::utf8::Utf8;
use super::{ErrorCode, MessageType};
use alloc::sync::Arc;
use bytes::Bytes;
use core::task::{Context, Poll, ready};
use wasi_error::StreamError;
use wasi_io::{InputStream, Pollable, poll_read_held};

pub(super) struct IncomingStream {
    shared: Arc<Shared>,
    /// Of a text.
    utf8: Option<Utf8>,
}

impl IncomingStream {
    pub(super) fn new(shared: Arc<Shared>, kind: MessageType) -> Self {
        Self {
            shared,
            utf8: (kind == MessageType::Text).then(Utf8::default),
        }
    }
}

impl Pollable for IncomingStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        (self.shared).poll_receive(cx, |state, cx| state.poll_chunk(cx).map(drop))
    }
}

impl InputStream for IncomingStream {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        poll_read_held(self, cx, buf)
    }

    fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        if max == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        let utf8 = &mut self.utf8;
        let read = self.shared.poll_receive(cx, |state, cx| {
            let Some(chunk) = ready!(state.poll_chunk(cx))? else {
                return match utf8 {
                    Some(utf8) if !utf8.is_whole() => {
                        Poll::Ready(Err(state.fail(ErrorCode::InvalidUtf8)))
                    }
                    _ => Poll::Ready(Ok(None)),
                };
            };
            let bytes = chunk.split_to(max.min(chunk.len()));
            match utf8.as_mut().map(|utf8| utf8.push(&bytes)) {
                Some(Err(_)) => Poll::Ready(Err(state.fail(ErrorCode::InvalidUtf8))),
                _ => Poll::Ready(Ok(Some(bytes))),
            }
        });
        Poll::Ready(match ready!(read) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(StreamError::Closed),
            Err(code) => Err(StreamError::failed(code)),
        })
    }
}

impl Drop for IncomingStream {
    fn drop(&mut self) {
        // Who waits for a message may look again.
        self.shared.change(|state| state.end_stream());
    }
}
