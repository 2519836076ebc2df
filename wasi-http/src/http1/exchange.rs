//! One request and its response over one connection.

use super::conn::{Reader, Writer};
use super::decode::Decoder;
use super::encode::{EncodeError, Encoder};
use super::error;
use super::head::{self, HeadError, ResponseHead, Scan};
use super::pool::Connection;
use crate::{Body, ErrorCode, Frame};
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use futures_channel::oneshot;
use wasi_clocks::{Duration, Sleep, WasiClocksCtx};
use wasi_io::Pollable;
use wasi_io::sync::Mutex;

/// The most responses with a status of 1xx before the one that counts.
const INTERIM_MAX: usize = 64;

/// What is sent of a request, and how far that came.
pub(super) struct Sending {
    encoder: Encoder,
    state: State,
}

enum State {
    Going,
    Sent,
    /// The connection takes no more; the peer may have answered before.
    Broken,
}

impl Sending {
    /// `encoder` goes behind a head that the connection's writer has.
    pub(super) fn new(encoder: Encoder) -> Self {
        Self {
            encoder,
            state: State::Going,
        }
    }

    pub(super) fn into_encoder(self) -> Encoder {
        self.encoder
    }

    pub(super) fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent)
    }

    /// Ready when nothing more is sent.
    ///
    /// # Errors
    /// The body failed.
    pub(super) fn poll(
        &mut self,
        writer: &mut Writer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ErrorCode>> {
        if let State::Going = self.state {
            self.state = match ready!(self.encoder.poll(writer, cx)) {
                Ok(()) => State::Sent,
                Err(EncodeError::Io) => State::Broken,
                Err(EncodeError::Length) => {
                    return Poll::Ready(Err(ErrorCode::HttpRequestBodySize(None)));
                }
                Err(EncodeError::Body(code)) => return Poll::Ready(Err(code)),
            };
        }
        Poll::Ready(Ok(()))
    }
}

/// Sends and waits for the head of the response, at most `max_head` bytes.
pub(super) async fn response_head(
    connection: &mut Connection,
    sending: &mut Sending,
    max_head: usize,
) -> Result<ResponseHead, ErrorCode> {
    let mut scan = Scan::new();
    let mut interim = 0;
    poll_fn(|cx| {
        if let Poll::Ready(Err(code)) = sending.poll(&mut connection.half.writer, cx) {
            return Poll::Ready(Err(code));
        }
        loop {
            match head::take_response(&mut connection.reader, &mut scan, max_head) {
                Ok(Some(head)) if matches!(head.status, 100 | 102..=199) => {
                    scan = Scan::new();
                    interim += 1;
                    if interim > INTERIM_MAX {
                        return Poll::Ready(Err(ErrorCode::HttpProtocolError));
                    }
                }
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Err(HeadError::TooLarge) => {
                    return Poll::Ready(Err(ErrorCode::HttpResponseHeaderSectionSize(None)));
                }
                Err(_) => return Poll::Ready(Err(ErrorCode::HttpProtocolError)),
                Ok(None) => match ready!(connection.reader.poll_fill(cx)) {
                    Ok(true) => {}
                    Ok(false) => return Poll::Ready(Err(ErrorCode::ConnectionTerminated)),
                    Err(error) => return Poll::Ready(Err(error::of_sockets(error))),
                },
            }
        }
    })
    .await
}

/// Why the connection of a response's body was shut down here.
pub(super) type Failure = Arc<Mutex<Option<ErrorCode>>>;

/// The body of a response, read from its connection as it is polled.
pub(super) struct ResponseBody {
    /// `None` when it ended.
    reader: Option<Reader>,
    decoder: Decoder,
    back: Option<oneshot::Sender<Reader>>,
    failure: Failure,
    clocks: WasiClocksCtx,
    /// How long to wait for a part.
    timeout: Duration,
    sleep: Option<Sleep>,
}

impl ResponseBody {
    /// `back` takes `reader` when the body has ended well; dropped, it gives the exchange up.
    pub(super) fn new(
        reader: Reader,
        decoder: Decoder,
        back: oneshot::Sender<Reader>,
        failure: Failure,
        clocks: WasiClocksCtx,
        timeout: Duration,
    ) -> Self {
        Self {
            reader: Some(reader),
            decoder,
            back: Some(back),
            failure,
            clocks,
            timeout,
            sleep: None,
        }
    }
}

impl Body for ResponseBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(None);
        };
        let frame = match self.decoder.poll_frame(reader, cx) {
            Poll::Ready(Some(Ok(frame))) => Some(Ok(frame)),
            Poll::Ready(ended) => {
                let failure = self.failure.lock().take();
                let ended = ended.and_then(Result::err).map(|error| error.of_response());
                failure.or(ended).map(Err)
            }
            Poll::Pending => {
                let sleep = self
                    .sleep
                    .get_or_insert_with(|| self.clocks.sleep(self.timeout));
                ready!(sleep.poll_ready(cx));
                Some(Err(ErrorCode::ConnectionReadTimeout))
            }
        };
        self.sleep = None;
        if self.decoder.is_done() {
            if let (Some(reader), Some(back)) = (self.reader.take(), self.back.take()) {
                // Nobody wants it where the connection is not kept.
                let _ = back.send(reader);
            }
        } else if matches!(frame, None | Some(Err(_))) {
            self.reader = None;
            self.back = None;
        }
        Poll::Ready(frame)
    }

    fn remaining(&self) -> Option<u64> {
        self.decoder.remaining()
    }

    fn is_end(&self) -> bool {
        self.reader.is_none()
    }
}
