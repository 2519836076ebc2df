//! Answers.

use crate::bindings::wasi::http::types::{ErrorCode, Fields, Response, Trailers};
use crate::bindings::{wit_future, wit_stream};
use wit_bindgen::{FutureReader, FutureWriter, StreamWriter};

/// What the host says of a response when it is sent, or can't be.
pub type Sent = FutureReader<Result<(), ErrorCode>>;

/// A body on its way. Dropped before [`finish`](Self::finish), it is cut off.
pub struct Body {
    pub stream: StreamWriter<u8>,
    trailers: FutureWriter<Result<Option<Trailers>, ErrorCode>>,
}

/// The client has gone.
#[derive(Debug)]
pub struct Gone;

impl Body {
    /// A response of 200 with these headers, the body to write, and how sending it ends.
    pub fn start(headers: Fields) -> (Response, Self, Sent) {
        let (stream, contents) = wit_stream::new();
        let (trailers, after) = wit_future::new(|| Err(ErrorCode::InternalError(None)));
        let (response, sent) = Response::new(headers, Some(contents), after);
        (response, Self { stream, trailers }, sent)
    }

    /// Sends all of `bytes`, and gives the buffer back.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        match self.stream.write_all(bytes).await.is_empty() {
            true => Ok(()),
            false => Err(Gone),
        }
    }

    /// Ends a complete body.
    pub async fn finish(self, trailers: Option<Trailers>) {
        drop(self.stream);
        // It fails where the client has gone.
        let _ = self.trailers.write(Ok(trailers)).await;
    }
}

/// Answers with a status that every host takes and a text.
pub fn text(status: u16, text: &str) -> Result<Response, ErrorCode> {
    let (response, mut body, _) = Body::start(Fields::new());
    response.set_status_code(status).expect("a status");
    let text = text.as_bytes().to_vec();
    wit_bindgen::spawn_local(async move {
        if body.write(text).await.is_ok() {
            body.finish(None).await;
        }
    });
    Ok(response)
}
