//! Answers to the client.

use crate::bindings::wasi::http::types::{
    Fields, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::{OutputStream, StreamError};
use ai_agent::console;
use ai_agent::head::{self, Header};
use ai_agent::refusal::Refusal;

/// The headers of a text.
pub fn text_fields() -> Fields {
    fields(head::text())
}

fn fields(headers: Vec<Header>) -> Fields {
    let fields = Fields::new();
    for (name, value) in headers {
        fields
            .append(name, value.as_bytes())
            .expect("a name and a value that are always valid");
    }
    fields
}

/// The client's side of a request that is not yet answered.
pub struct Client {
    pub out: ResponseOutparam,
    /// The client asked for the head alone.
    pub head_only: bool,
    /// Goes into the header `x-agent-fallback`.
    pub notice: Option<String>,
}

impl Client {
    /// Answers with a text that is there as a whole.
    pub fn text(self, status: u16, text: &[u8]) {
        self.whole(status, head::text(), text);
    }

    /// Answers with a status and its sentence.
    pub fn refuse(self, refusal: &Refusal) {
        self.text(refusal.status, refusal.body().as_bytes());
    }

    /// Answers with the console; `nonce` is as in [`console::policy`].
    pub fn page(self, nonce: &str) {
        self.whole(200, head::page(nonce), console::page(nonce).as_bytes());
    }

    fn whole(self, status: u16, headers: Vec<Header>, content: &[u8]) {
        let mut body = self.begin(status, headers, Some(content.len()));
        // A client that has left cannot be told.
        if body.write(content).is_ok() {
            body.finish();
        }
    }

    /// Sends the head of a text whose length is not known yet.
    pub fn start(self, status: u16) -> Body {
        self.begin(status, head::text(), None)
    }

    fn begin(self, status: u16, mut headers: Vec<Header>, length: Option<usize>) -> Body {
        // The body of an answer to HEAD is empty whatever the length says, and a host
        // may hold the two against each other.
        let length = length.filter(|_| !self.head_only);
        headers.extend(head::more(status, self.notice, length));
        let response = OutgoingResponse::new(fields(headers));
        response
            .set_status_code(status)
            .expect("a status from 200 to 504");
        let body = response.body().expect("the first body");
        let stream = body.write().expect("the first stream");
        ResponseOutparam::set(self.out, Ok(response));
        Body {
            writable: stream.subscribe(),
            stream,
            body,
            head_only: self.head_only,
        }
    }
}

/// A body on its way. Dropped before [`finish`](Self::finish), it ends in a way that the
/// client can tell from a complete one.
pub struct Body {
    // Children go before their parents.
    writable: Pollable,
    stream: OutputStream,
    body: OutgoingBody,
    head_only: bool,
}

impl Body {
    /// Sends all of `bytes`, and waits for the client where it is slow.
    ///
    /// Errors: the client has gone.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        if self.head_only {
            return Ok(());
        }
        while !bytes.is_empty() {
            match self.stream.check_write()? {
                0 => self.writable.block(),
                budget => {
                    let budget = usize::try_from(budget).unwrap_or(usize::MAX);
                    let (now, later) = bytes.split_at(budget.min(bytes.len()));
                    self.stream.write(now)?;
                    bytes = later;
                }
            }
        }
        self.stream.flush()
    }

    /// Ends a complete body.
    pub fn finish(self) {
        let Self {
            writable,
            stream,
            body,
            ..
        } = self;
        drop(writable);
        drop(stream);
        // It fails where the client has gone.
        let _ = OutgoingBody::finish(body, None);
    }
}
