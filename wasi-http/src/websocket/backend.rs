//! The traits that connect the bindings with whatever speaks WebSocket.

use super::{CloseStatus, ErrorCode, Limits};
use crate::{BoxFuture, Fields, Response};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::task::{Context, Poll};
use wasi_sockets::HttpGrant;
use wasi_types::Duration;

/// What a message is (`agave:websocket/types.message-type`; RFC 6455, section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A part of a message: all of it, or some. The parts of one message come one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The same for all parts of a message.
    pub kind: MessageType,
    /// The content; a part of a text may end within a character. It may be empty.
    pub data: Bytes,
    /// The message ends with it.
    pub last: bool,
}

/// An open connection.
///
/// It makes progress on its own, whether it is polled or not: pings are answered, and what was
/// sent is delivered. Its queues are bounded: while nobody receives, it takes no more from the
/// peer, and while the peer takes nothing, [`Socket::poll_send`] is pending.
///
/// One task at a time polls each direction.
///
/// Dropped, it is closed with code 1001 after what was sent before (RFC 6455, section 7.4.1),
/// unless [`Socket::close`] was called, and everything that it holds is released once the peer
/// has answered, or was waited for long enough.
pub trait Socket: Send + 'static {
    /// The next part of a message. It has no more bytes than the limit on messages, and those of
    /// a text are UTF-8 where the backend can tell; its user looks again.
    ///
    /// Pending, it keeps the waker of `cx`.
    ///
    /// # Errors
    /// How the connection ended, after all that came before; the same at every later call:
    /// [`ErrorCode::ClosedByPeer`] to [`ErrorCode::ConnectionLost`].
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, ErrorCode>>;

    /// Ready while [`Socket::send`] takes a part of any length, with how many bytes bring the
    /// queue to its limit; at least 1. It is the length for parts of long messages.
    ///
    /// Pending, it keeps the waker of `cx`.
    ///
    /// # Errors
    /// As [`Socket::poll_receive`], as soon as it is known.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>>;

    /// Takes `piece`, after [`Socket::poll_send`] was ready. It will be delivered.
    ///
    /// # Errors
    /// As [`Socket::poll_send`]; nothing was taken.
    fn send(&mut self, piece: Piece) -> Result<(), ErrorCode>;

    /// Closes the connection with a valid status: what was sent before goes out, then the close
    /// frame. What the peer sends from now on is dropped, and nothing more is sent. The end,
    /// where none was known before, is `end` once the peer has answered, or was waited for long
    /// enough.
    ///
    /// The second call does nothing.
    fn close(&mut self, status: Option<CloseStatus>, end: ErrorCode);
}

/// What a client asks a server for.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// `wss`, not `ws`.
    pub tls: bool,
    /// Host and port (RFC 3986, section 3.2).
    pub authority: String,
    /// The path with its query; begins with `/`.
    pub path_with_query: String,
    /// The subprotocols, the best first: tokens, none of them twice.
    pub subprotocols: Vec<String>,
    /// More header fields, none of which belongs to the handshake.
    pub headers: Fields,
    /// The leave of the guest's policy, where it has one; see
    /// [`Request::grant`](crate::Request::grant).
    pub grant: Option<HttpGrant>,
    /// How long the connection may take to be made, in nanoseconds; `None` is the
    /// connector's own limit.
    pub connect_timeout: Option<Duration>,
}

/// A connection that was made.
pub struct Established {
    /// The connection.
    pub socket: Box<dyn Socket>,
    /// The subprotocol that the server chose: one of those it was offered, or none.
    pub subprotocol: Option<String>,
}

/// What makes connections for guests.
pub trait Connector: Send + Sync + 'static {
    /// Connects, with `limits`. Dropping the future before it is ready gives the connection up.
    ///
    /// # Errors
    /// [`ErrorCode::ConnectTimeout`] to [`ErrorCode::ConnectionLimit`], and
    /// [`ErrorCode::InternalError`]. A connector without a grant answers
    /// [`ErrorCode::AccessDenied`].
    fn connect(
        &self,
        handshake: Handshake,
        limits: Limits,
    ) -> BoxFuture<Result<Established, ErrorCode>>;
}

/// What answers one client's request. Dropped without an answer, the host gives its own.
pub trait Responder: Send + 'static {
    /// Accepts, with the chosen subprotocol and more header fields in the answer. The socket is
    /// there at once; what is sent waits until the answer has gone out.
    ///
    /// # Errors
    /// [`ErrorCode::ConnectionLost`]: the client has gone. [`ErrorCode::InternalError`].
    fn accept(
        self: Box<Self>,
        subprotocol: Option<String>,
        headers: Fields,
        limits: Limits,
    ) -> Result<Box<dyn Socket>, ErrorCode>;

    /// Refuses. It is no error that the client has gone.
    fn refuse(self: Box<Self>, response: Response);
}
