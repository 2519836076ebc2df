//! Bodies of ours as hyper's, and hyper's as ours.

use super::{convert, error};
use crate::{Body, Frame};
use bytes::Bytes;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http_body::{Body as HttpBody, SizeHint};
use hyper::body::Incoming;
use std::boxed::Box;
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use wasi_error::http::ErrorCode;
use wasi_io::os::Runtime;

/// A body for hyper to send. Where it knows how much remains, hyper sends a `content-length`
/// and, for one that is there already, head and content in one write.
///
/// Content that came before an error is sent before the message is cut off.
pub struct HyperBody {
    body: Box<dyn Body>,
    /// An error that hyper is told when it has sent what it has: it drops that otherwise.
    failed: Option<ErrorCode>,
}

impl HyperBody {
    /// Without content or trailers.
    pub fn empty() -> Self {
        let body: Box<dyn Body> = Box::new(Nothing);
        body.into()
    }
}

impl From<Box<dyn Body>> for HyperBody {
    fn from(body: Box<dyn Body>) -> Self {
        Self { body, failed: None }
    }
}

impl HttpBody for HyperBody {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, ErrorCode>>> {
        if let Some(code) = self.failed.take() {
            return Poll::Ready(Some(Err(code)));
        }
        let code = match ready!(self.body.poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(Frame::Data(data))) => {
                return Poll::Ready(Some(Ok(http_body::Frame::data(data))));
            }
            Some(Ok(Frame::Trailers(fields))) => match convert::header_map(&fields) {
                Ok(map) => return Poll::Ready(Some(Ok(http_body::Frame::trailers(map)))),
                Err(_) => ErrorCode::HttpRequestTrailerSectionSize(None),
            },
            Some(Err(code)) => code,
        };
        self.failed = Some(code);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.remaining() {
            Some(remaining) => SizeHint::with_exact(remaining),
            None => SizeHint::new(),
        }
    }
}

struct Nothing;

impl Body for Nothing {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        Poll::Ready(None)
    }

    fn remaining(&self) -> Option<u64> {
        Some(0)
    }

    fn is_end(&self) -> bool {
        true
    }
}

/// What came with a message: nothing is kept for one that has no content.
pub(super) fn boxed<B: Body>(
    incoming: Incoming,
    body: impl FnOnce(Incoming) -> B,
) -> Box<dyn Body> {
    match incoming.is_end_stream() {
        true => Box::new(Nothing),
        false => Box::new(body(incoming)),
    }
}

fn poll(
    incoming: &mut Incoming,
    cx: &mut Context<'_>,
    code: fn(&hyper::Error) -> ErrorCode,
) -> Poll<Option<Result<Frame, ErrorCode>>> {
    loop {
        let frame = match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(code(&error)))),
            None => return Poll::Ready(None),
        };
        let frame = match frame.into_data() {
            Ok(data) if data.is_empty() => continue,
            Ok(data) => Ok(Frame::Data(data)),
            Err(frame) => match frame.into_trailers() {
                Ok(map) => Ok(Frame::Trailers(convert::fields(&map))),
                Err(_) => continue, // No other kind is known.
            },
        };
        return Poll::Ready(Some(frame));
    }
}

/// The body of a request that a server received.
impl Body for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        poll(self, cx, error::of_request_body)
    }

    fn remaining(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    fn is_end(&self) -> bool {
        self.is_end_stream()
    }
}

/// The body of a response that a client received.
pub(super) struct ResponseBody {
    incoming: Incoming,
    /// How long to wait for a part.
    timeout: Duration,
    runtime: Runtime,
    /// Made for the first part that has to be waited for.
    sleep: Option<Pin<Box<Sleep>>>,
    /// The sleep is for the part that is waited for now.
    waits: bool,
    failed: bool,
}

impl ResponseBody {
    pub(super) fn new(incoming: Incoming, timeout: Duration, runtime: Runtime) -> Self {
        Self {
            incoming,
            timeout,
            runtime,
            sleep: None,
            waits: false,
            failed: false,
        }
    }

    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        let sleep = self.sleep.get_or_insert_with(|| {
            let _entered = self.runtime.enter();
            self.waits = true;
            Box::pin(tokio::time::sleep(timeout))
        });
        if !self.waits {
            self.waits = true;
            sleep.as_mut().reset(super::after(Instant::now(), timeout));
        }
        sleep.as_mut().poll(cx)
    }
}

impl Body for ResponseBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let frame = match poll(&mut self.incoming, cx, error::of_response_body) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                ready!(self.poll_timeout(cx));
                Some(Err(ErrorCode::ConnectionReadTimeout))
            }
        };
        self.waits = false;
        self.failed = matches!(frame, Some(Err(_)));
        Poll::Ready(frame)
    }

    fn remaining(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    fn is_end(&self) -> bool {
        self.failed || self.incoming.is_end_stream()
    }
}
