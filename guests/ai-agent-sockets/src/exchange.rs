//! Bytes to a peer and its bytes back, at the same time.

use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::StreamError;
use crate::bindings::wasi::sockets::tcp::ShutdownType;
use crate::deadline::{Deadline, Expired};
use crate::dial::Connection;

/// At most so many bytes are taken from the peer at once.
const CHUNK: u64 = 64 * 1024;

/// Why no more of the reply comes, other than its end.
#[derive(Debug)]
pub enum Stop {
    /// The deadline passed.
    Expired,
    /// The connection broke; the cause.
    Broken(String),
}

impl From<Expired> for Stop {
    fn from(Expired: Expired) -> Self {
        Self::Expired
    }
}

/// What remains to be done for the peer to have the whole message.
enum Sending<'a> {
    Bytes(&'a [u8]),
    Flush,
    Done,
}

/// One message to a peer and its reply.
///
/// It reads while it still writes: a peer that answers before it has everything, as an
/// echo does, would else stop reading when nobody takes its answer.
pub struct Exchange<'a> {
    // The pollables are children of the streams, so they go first.
    readable: Pollable,
    writable: Pollable,
    connection: Connection,
    sending: Sending<'a>,
    half_close: bool,
    /// A message that could not be sent matters only if no reply comes either.
    send_error: Option<String>,
}

impl<'a> Exchange<'a> {
    /// Nothing is sent before the first [`next`](Self::next). With `half_close` the peer
    /// sees the end of the stream after the message.
    pub fn new(connection: Connection, message: &'a [u8], half_close: bool) -> Self {
        Self {
            readable: connection.input.subscribe(),
            writable: connection.output.subscribe(),
            connection,
            sending: Sending::Bytes(message),
            half_close,
            send_error: None,
        }
    }

    /// The next bytes of the reply, `None` at its end. What is there already is given
    /// even when the deadline has passed.
    pub fn next(&mut self, deadline: &Deadline) -> Result<Option<Vec<u8>>, Stop> {
        loop {
            if let Err(error) = self.send() {
                self.sending = Sending::Done;
                self.send_error = Some(describe(error));
            }
            match self.connection.input.read(CHUNK) {
                Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                Ok(_) => match self.sending {
                    Sending::Done => deadline.wait(&[&self.readable])?,
                    _ => deadline.wait(&[&self.readable, &self.writable])?,
                },
                Err(StreamError::Closed) => return Ok(None),
                Err(error) => return Err(Stop::Broken(describe(error))),
            }
        }
    }

    /// Why the message could not be sent, if so.
    pub fn send_error(&self) -> Option<&str> {
        self.send_error.as_deref()
    }

    /// Sends as much as goes without waiting.
    fn send(&mut self) -> Result<(), StreamError> {
        let Connection { output, socket, .. } = &self.connection;
        loop {
            self.sending = match self.sending {
                Sending::Done => return Ok(()),
                Sending::Bytes([]) => {
                    output.flush()?;
                    Sending::Flush
                }
                Sending::Bytes(bytes) => {
                    let budget = output.check_write()?;
                    if budget == 0 {
                        return Ok(());
                    }
                    let budget = usize::try_from(budget).unwrap_or(usize::MAX);
                    let (now, later) = bytes.split_at(budget.min(bytes.len()));
                    output.write(now)?;
                    Sending::Bytes(later)
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

fn describe(error: StreamError) -> String {
    match error {
        StreamError::Closed => "connection closed".into(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}
