//! Bytes to a peer and its bytes back, at the same time.

use crate::bindings::wasi::sockets::types::{ErrorCode, TcpSocket};
use crate::bindings::wit_stream;
use crate::deadline::{Expired, wait};
use crate::network::name;
use ai_agent::relay::{CHUNK, Deadline, Exchange, Stop};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

/// How a direction of a connection ends.
type Outcome = FutureReader<Result<(), ErrorCode>>;

type Pending = Pin<Box<dyn Future<Output = Result<(), ErrorCode>>>>;

/// One message to a peer and its reply.
pub struct Streams {
    input: StreamReader<u8>,
    /// How it ends; `None` when that is known.
    end: Option<Pending>,
    /// What is still to be done for the peer to have the whole message, if anything.
    sending: Option<Pending>,
    send_error: Option<String>,
    /// Not before the streams.
    _socket: TcpSocket,
}

impl Streams {
    /// Nothing is sent before the first [`next`](Self::next).
    pub fn new(socket: TcpSocket, message: &[u8], half_close: bool) -> Self {
        let (input, end) = socket.receive();
        let (output, contents) = wit_stream::new();
        let sent = socket.send(contents);
        Self {
            input,
            end: Some(Box::pin(end.into_future())),
            sending: Some(Box::pin(send(output, sent, message.into(), half_close))),
            send_error: None,
            _socket: socket,
        }
    }
}

/// Sends the message. Without `half_close` it does not come back where that works: the end of
/// the stream would be the end of what the peer gets.
async fn send(
    mut output: StreamWriter<u8>,
    sent: Outcome,
    message: Vec<u8>,
    half_close: bool,
) -> Result<(), ErrorCode> {
    let rest = output.write_all(message).await;
    if rest.is_empty() && !half_close {
        pending::<()>().await;
    }
    drop(output);
    sent.await
}

impl Exchange for Streams {
    async fn next(&mut self, deadline: Deadline) -> Result<Option<Vec<u8>>, Stop> {
        let Self {
            input,
            end,
            sending,
            send_error,
            ..
        } = self;
        let mut read = pin!(input.read(Vec::with_capacity(CHUNK)));
        let both = poll_fn(|context| {
            if let Some(Poll::Ready(result)) = sending.as_mut().map(|it| it.as_mut().poll(context))
            {
                *sending = None;
                *send_error = result.err().map(|code| name(&code));
            }
            read.as_mut().poll(context)
        });
        let (result, bytes) = match wait(deadline, pin!(both)).await {
            Ok(read) => read,
            // What came just now is not lost.
            Err(Expired) => read.as_mut().cancel(),
        };
        match result {
            _ if !bytes.is_empty() => Ok(Some(bytes)),
            StreamResult::Complete(_) | StreamResult::Cancelled => Err(Stop::Expired),
            StreamResult::Dropped => {
                let Some(last) = end else {
                    return Ok(None);
                };
                let outcome = wait(deadline, last.as_mut()).await;
                let outcome = outcome.map_err(|Expired| Stop::Expired)?;
                *end = None;
                match outcome {
                    Ok(()) => Ok(None),
                    Err(code) => Err(Stop::Broken(name(&code))),
                }
            }
        }
    }

    fn send_error(&self) -> Option<String> {
        self.send_error.clone()
    }
}
