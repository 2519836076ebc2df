//! Bytes to a peer and its bytes back, at the same time.

use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::StreamError;
use crate::bindings::wasi::sockets::tcp::ShutdownType;
use crate::deadline::{Expired, wait};
use crate::network::Connection;
use ai_agent::relay::{CHUNK, Deadline, Exchange, Stop};

/// What remains to be done for the peer to have the whole message.
enum Sending {
    /// What of the message comes after so many bytes.
    From(usize),
    Flush,
    Done,
}

/// One message to a peer and its reply.
pub struct Sockets {
    // The pollables are children of the streams, so they go first.
    readable: Pollable,
    writable: Pollable,
    connection: Connection,
    message: Vec<u8>,
    sending: Sending,
    half_close: bool,
    send_error: Option<String>,
}

impl Sockets {
    /// Nothing is sent before the first [`next`](Self::next).
    pub fn new(connection: Connection, message: &[u8], half_close: bool) -> Self {
        Self {
            readable: connection.input.subscribe(),
            writable: connection.output.subscribe(),
            connection,
            message: message.into(),
            sending: Sending::From(0),
            half_close,
            send_error: None,
        }
    }

    /// Sends as much as goes without waiting.
    fn send(&mut self) -> Result<(), StreamError> {
        let Connection { output, socket, .. } = &self.connection;
        loop {
            self.sending = match self.sending {
                Sending::Done => return Ok(()),
                Sending::From(at) if at == self.message.len() => {
                    output.flush()?;
                    Sending::Flush
                }
                Sending::From(at) => {
                    let budget = output.check_write()?;
                    if budget == 0 {
                        return Ok(());
                    }
                    let budget = usize::try_from(budget).unwrap_or(usize::MAX);
                    let rest = &self.message[at..];
                    let now = &rest[..budget.min(rest.len())];
                    output.write(now)?;
                    Sending::From(at + now.len())
                }
                // A flush is over when the stream takes bytes again.
                Sending::Flush if output.check_write()? == 0 => return Ok(()),
                Sending::Flush => {
                    if self.half_close {
                        // It fails only where the peer has ended the connection already.
                        let _ = socket.shutdown(ShutdownType::Send);
                    }
                    Sending::Done
                }
            }
        }
    }
}

impl Exchange for Sockets {
    async fn next(&mut self, deadline: Deadline) -> Result<Option<Vec<u8>>, Stop> {
        loop {
            if let Err(error) = self.send() {
                self.sending = Sending::Done;
                self.send_error = Some(describe(error));
            }
            match self.connection.input.read(CHUNK as u64) {
                Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                Ok(_) => {
                    let waited = match self.sending {
                        Sending::Done => wait(deadline, &[&self.readable]),
                        _ => wait(deadline, &[&self.readable, &self.writable]),
                    };
                    waited.map_err(|Expired| Stop::Expired)?;
                }
                Err(StreamError::Closed) => return Ok(None),
                Err(error) => return Err(Stop::Broken(describe(error))),
            }
        }
    }

    fn send_error(&self) -> Option<String> {
        self.send_error.clone()
    }
}

fn describe(error: StreamError) -> String {
    match error {
        StreamError::Closed => "connection closed".into(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}
