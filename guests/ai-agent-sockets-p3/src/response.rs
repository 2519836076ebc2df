//! Answers to the client.

use crate::bindings::wasi::http::types::{ErrorCode, Fields, Response, Trailers};
use crate::bindings::{wit_future, wit_stream};
use ai_agent::console;
use ai_agent::head::{self, Header};
use ai_agent::refusal::Refusal;
use wit_bindgen::{FutureWriter, StreamWriter};

/// What is known of an answer before its status.
pub struct Answer {
    /// The client asked for the head alone.
    pub head_only: bool,
    /// Goes into the header `x-agent-fallback`.
    pub notice: Option<String>,
}

impl Answer {
    /// A text that is there as a whole.
    pub fn text(self, status: u16, text: &[u8]) -> Response {
        self.whole(status, head::text(), text.into())
    }

    /// A status and its sentence.
    pub fn refuse(self, refusal: &Refusal) -> Response {
        self.text(refusal.status, refusal.body().as_bytes())
    }

    /// The console; `nonce` is as in [`console::policy`].
    pub fn page(self, nonce: &str) -> Response {
        self.whole(200, head::page(nonce), console::page(nonce).into())
    }

    fn whole(self, status: u16, headers: Vec<Header>, content: Vec<u8>) -> Response {
        let content = match self.head_only {
            true => Vec::new(),
            false => content,
        };
        let (response, mut body) = self.begin(status, headers, Some(content.len()));
        wit_bindgen::spawn_local(async move {
            // A client that has left cannot be told.
            if body.write(content).await.is_ok() {
                body.finish().await;
            }
        });
        response
    }

    /// A text whose length is not known yet.
    pub fn start(self, status: u16) -> (Response, Body) {
        self.begin(status, head::text(), None)
    }

    fn begin(
        self,
        status: u16,
        mut headers: Vec<Header>,
        length: Option<usize>,
    ) -> (Response, Body) {
        // The body of an answer to HEAD is empty whatever the length says, and a host
        // may hold the two against each other.
        let length = length.filter(|_| !self.head_only);
        headers.extend(head::more(status, self.notice, length));
        let fields = Fields::new();
        for (name, value) in headers {
            fields
                .append(name, value.as_bytes())
                .expect("a name and a value that are always valid");
        }
        let (stream, contents) = wit_stream::new();
        let (trailers, after) = wit_future::new(|| Err(ErrorCode::InternalError(None)));
        let (response, _) = Response::new(fields, Some(contents), after);
        response
            .set_status_code(status)
            .expect("a status from 200 to 504");
        (response, Body { stream, trailers })
    }
}

/// A body on its way. Dropped before [`finish`](Self::finish), it ends in a way that the
/// client can tell from a complete one.
pub struct Body {
    stream: StreamWriter<u8>,
    trailers: FutureWriter<Result<Option<Trailers>, ErrorCode>>,
}

/// The client has gone.
pub struct Gone;

impl Body {
    /// Sends all of `bytes`, and waits for the client where it is slow.
    ///
    /// Errors: the client has gone.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        match self.stream.write_all(bytes).await.is_empty() {
            true => Ok(()),
            false => Err(Gone),
        }
    }

    /// Ends a complete body.
    pub async fn finish(self) {
        drop(self.stream);
        // It fails where the client has gone.
        let _ = self.trailers.write(Ok(None)).await;
    }
}
