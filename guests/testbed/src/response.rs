//! Answers.

use crate::bindings::wasi::http::types::{
    Fields, OutgoingBody, OutgoingResponse, ResponseOutparam, Trailers,
};
use crate::bindings::wasi::io::streams::{OutputStream, StreamError};

/// A response that is being put together.
pub struct Reply(OutgoingResponse);

impl Reply {
    pub fn new() -> Self {
        Self::with(Fields::new())
    }

    pub fn with(headers: Fields) -> Self {
        Self(OutgoingResponse::new(headers))
    }

    /// `None` where the host refuses the code.
    pub fn status(self, code: u16) -> Option<Self> {
        self.0.set_status_code(code).ok()?;
        Some(self)
    }

    /// Sends the head.
    pub fn start(self, out: ResponseOutparam) -> Body {
        let body = self.0.body().expect("the first body");
        let stream = body.write().expect("the first stream");
        ResponseOutparam::set(out, Ok(self.0));
        Body { stream, body }
    }

    /// Sends the head and a short body.
    pub fn text(self, out: ResponseOutparam, text: &str) {
        let body = self.start(out);
        let _ = body.write(text.as_bytes());
        body.finish(None);
    }
}

/// Answers with a status that every host takes and a text.
pub fn text(out: ResponseOutparam, status: u16, text: &str) {
    Reply::new().status(status).expect("status").text(out, text);
}

/// A body on its way; dropped, it is incomplete. The stream goes before its parent.
pub struct Body {
    pub stream: OutputStream,
    body: OutgoingBody,
}

impl Body {
    /// Sends all of `bytes`, in the pieces that the host takes.
    pub fn write(&self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            match self.stream.check_write()? {
                0 => self.stream.subscribe().block(),
                budget => {
                    let (now, later) = bytes.split_at(bytes.len().min(budget as usize));
                    self.stream.write(now)?;
                    bytes = later;
                }
            }
        }
        self.stream.blocking_flush()
    }

    /// Ends the body, and says on standard error where the host refuses that.
    pub fn finish(self, trailers: Option<Trailers>) {
        let Self { stream, body } = self;
        drop(stream);
        if let Err(code) = OutgoingBody::finish(body, trailers) {
            eprintln!("testbed finish failed: {code:?}");
        }
    }
}
