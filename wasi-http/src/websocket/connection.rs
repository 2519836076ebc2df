//! A connection as a guest has it.

use super::ctx::Leave;
use super::stream::IncomingStream;
use super::{CloseStatus, ErrorCode, Limits, Message, MessageType, OutgoingMessage, Piece, Socket};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::mem;
use core::task::{Context, Poll, Waker, ready};
use wasi_io::sync::Mutex;
use wasi_io::{DynInputStream, Pollable, SharedWaker};

/// So many parts of messages are taken in one go, while none is whole, before other tasks get
/// their turn.
const PIECES_MAX: usize = 32;

/// A `connection` (`agave:websocket/types.connection`). Dropped, it is closed with code 1001.
pub struct Connection {
    shared: Arc<Shared>,
    subprotocol: Option<String>,
    _leave: Option<Leave>,
}

/// What a connection shares with its streams and pollables.
pub(super) struct Shared {
    state: Mutex<State>,
    receive: SharedWaker,
    send: SharedWaker,
}

pub(super) struct State {
    /// Until the connection is dropped.
    socket: Option<Box<dyn Socket>>,
    limits: Limits,
    incoming: Incoming,
    /// A message is sent as a stream.
    sending: bool,
    /// `close` was called.
    closed: bool,
    /// How it ended, where that was decided here.
    failed: Option<ErrorCode>,
}

/// How far the message is that comes next.
enum Incoming {
    Between,
    Partly(MessageType, Vec<u8>),
    Whole(Message),
    /// A stream has it: what it has not read, and whether that is all.
    Streamed(Bytes, bool),
    /// Nobody wants the rest of it.
    Skipped,
}

impl Connection {
    /// The guest's view of `socket`, on which `subprotocol` was agreed.
    pub fn new(socket: Box<dyn Socket>, subprotocol: Option<String>, limits: Limits) -> Self {
        Self::with_leave(socket, subprotocol, limits, None)
    }

    pub(super) fn with_leave(
        socket: Box<dyn Socket>,
        subprotocol: Option<String>,
        limits: Limits,
        leave: Option<Leave>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    socket: Some(socket),
                    limits,
                    incoming: Incoming::Between,
                    sending: false,
                    closed: false,
                    failed: None,
                }),
                receive: SharedWaker::new(),
                send: SharedWaker::new(),
            }),
            subprotocol,
            _leave: leave,
        }
    }

    /// `subprotocol`: the one that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// `receive`: the next message, or `None` while none has come whole.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the stream of a message is there.
    /// - How the connection ended, after all messages that came before:
    ///   [`ErrorCode::ClosedByPeer`] to [`ErrorCode::ConnectionLost`]. Among them, found here,
    ///   [`ErrorCode::MessageTooBig`] and [`ErrorCode::InvalidUtf8`], of which the peer is told.
    pub fn receive(&mut self) -> Result<Option<Message>, ErrorCode> {
        now(self.poll_receive(&mut Context::from_waker(Waker::noop())))
    }

    /// `blocking-receive`: as [`Connection::receive`], waiting for a message.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, ErrorCode>> {
        ready!(self.shared.poll_receive(cx, State::poll_message))?;
        Poll::Ready(self.shared.state.lock().take_message())
    }

    /// `receive-stream`: the next message as a stream, or `None` while nothing of it has come.
    ///
    /// The stream fails with an [`ErrorCode`] when the connection ends before the message does.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub fn receive_stream(&mut self) -> Result<Option<(MessageType, DynInputStream)>, ErrorCode> {
        let cx = &mut Context::from_waker(Waker::noop());
        let begun = now(self.shared.poll_receive(cx, State::poll_begin_stream))?;
        Ok(begun.map(|kind| {
            let stream = IncomingStream::new(self.shared.clone(), kind);
            (kind, DynInputStream::new(stream))
        }))
    }

    /// `subscribe-receive`.
    pub fn readable(&self) -> Readable {
        Readable(self.shared.clone())
    }

    /// `check-send`: the longest message, in bytes, that [`Connection::send`] takes now; 0
    /// while it takes none.
    ///
    /// # Errors
    /// Those of [`Connection::send`] that would come for every message.
    pub fn check_send(&mut self) -> Result<usize, ErrorCode> {
        let cx = &mut Context::from_waker(Waker::noop());
        let room = now(self.shared.poll_send(cx, State::poll_may_send))?;
        let max = self.shared.state.lock().limits.message;
        Ok(room.map_or(0, |_| max))
    }

    /// `send`: sends `message`.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: it is longer than [`Limits::message`].
    /// - [`ErrorCode::InvalidState`]: a message is being sent as a stream, or `close` was
    ///   called.
    /// - [`ErrorCode::WouldBlock`]: the connection takes none now.
    /// - How the connection ended, as soon as it is known.
    pub fn send(&mut self, message: Message) -> Result<(), ErrorCode> {
        let cx = &mut Context::from_waker(Waker::noop());
        match self.poll_send(cx, &mut Some(message)) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(ErrorCode::WouldBlock),
        }
    }

    /// `blocking-send`: as [`Connection::send`], waiting until the connection takes `message`,
    /// which is `None` from then on.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<(), ErrorCode>> {
        let len = message.as_ref().map_or(0, Message::len);
        let poll = self.shared.poll_send(cx, |state, cx| {
            if len > state.limits.message {
                return Poll::Ready(Err(ErrorCode::InvalidArgument));
            }
            state.poll_may_send(cx)
        });
        ready!(poll)?;
        let Some(message) = message.take() else {
            return Poll::Ready(Ok(()));
        };
        let (kind, data) = message.into_parts();
        let last = true;
        Poll::Ready(self.shared.state.lock().send(Piece { kind, data, last }))
    }

    /// `send-stream`: begins a message that is written as a stream.
    ///
    /// # Errors
    /// As [`Connection::send`], without [`ErrorCode::WouldBlock`].
    pub fn send_stream(&mut self, kind: MessageType) -> Result<OutgoingMessage, ErrorCode> {
        let cx = &mut Context::from_waker(Waker::noop());
        now(self.shared.poll_send(cx, State::poll_may_send))?;
        self.shared.state.lock().sending = true;
        Ok(OutgoingMessage::new(self.shared.clone(), kind))
    }

    /// `subscribe-send`.
    pub fn writable(&self) -> Writable {
        Writable(self.shared.clone())
    }

    /// `close`: closes the connection with `status`, after what was sent before.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: `status` may not be sent ([`CloseStatus::is_valid`]).
    /// - [`ErrorCode::InvalidState`]: it was called before, or a message is being sent as a
    ///   stream.
    /// - How the connection ended already.
    pub fn close(&mut self, status: Option<CloseStatus>) -> Result<(), ErrorCode> {
        if status.as_ref().is_some_and(|status| !status.is_valid()) {
            return Err(ErrorCode::InvalidArgument);
        }
        let cx = &mut Context::from_waker(Waker::noop());
        now(self.shared.poll_send(cx, State::poll_may_send))?;
        self.shared.change(|state| {
            state.closed = true;
            state.incoming = Incoming::Between;
            if let Some(socket) = &mut state.socket {
                socket.close(status, ErrorCode::ClosedHere);
            }
        });
        Ok(())
    }

    /// Its user failed: the connection is closed with code 1011, also in the middle of a message
    /// that is sent as a stream. The end, where none was known before, is
    /// [`ErrorCode::ClosedHere`].
    pub fn fail(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(Err(_)) = self.shared.poll_send(cx, State::poll_room) {
            return;
        }
        self.shared.change(|state| {
            state.closed = true;
            state.fail(ErrorCode::ClosedHere);
        });
    }

    /// `ended`: how the connection ended; `None` while it is open or messages wait.
    pub fn ended(&mut self) -> Option<ErrorCode> {
        let cx = &mut Context::from_waker(Waker::noop());
        match self.shared.poll_receive(cx, State::poll_message) {
            Poll::Ready(Err(ErrorCode::InvalidState)) => None,
            Poll::Ready(Err(end)) => Some(end),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.socket = None;
            state.incoming = Incoming::Between;
        });
    }
}

/// What is there now.
fn now<T>(poll: Poll<Result<T, ErrorCode>>) -> Result<Option<T>, ErrorCode> {
    match poll {
        Poll::Ready(result) => result.map(Some),
        Poll::Pending => Ok(None),
    }
}

impl Shared {
    pub(super) fn poll_receive<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut State, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        (self.receive).poll(cx, |cx| poll(&mut self.state.lock(), cx))
    }

    pub(super) fn poll_send<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut State, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        (self.send).poll(cx, |cx| poll(&mut self.state.lock(), cx))
    }

    /// Does `f`, and lets all who wait look again.
    pub(super) fn change<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let result = f(&mut self.state.lock());
        self.receive.wake_all();
        self.send.wake_all();
        result
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock())
    }
}

impl State {
    /// The socket, unless the end was decided here.
    fn socket(&mut self) -> Result<&mut Box<dyn Socket>, ErrorCode> {
        match (&self.failed, &mut self.socket) {
            (Some(end), _) => Err(end.clone()),
            (None, Some(socket)) => Ok(socket),
            (None, None) => Err(ErrorCode::ClosedHere),
        }
    }

    /// Ends the connection for a reason that the peer is told of, and gives that.
    pub(super) fn fail(&mut self, end: ErrorCode) -> ErrorCode {
        let code = end.close_code().unwrap_or(1011);
        let reason = String::new();
        if let Ok(socket) = self.socket() {
            socket.close(Some(CloseStatus { code, reason }), end.clone());
        }
        self.incoming = Incoming::Between;
        self.failed.get_or_insert(end).clone()
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, ErrorCode>> {
        self.socket()?.poll_receive(cx)
    }

    /// Ready when a message is whole.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        for _ in 0..PIECES_MAX {
            match self.incoming {
                Incoming::Whole(_) => return Poll::Ready(Ok(())),
                Incoming::Streamed(..) => return Poll::Ready(Err(ErrorCode::InvalidState)),
                _ => {}
            }
            let piece = ready!(self.poll_piece(cx))?;
            let incoming = self.add(piece).map_err(|end| self.fail(end))?;
            self.incoming = incoming;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn add(&mut self, piece: Piece) -> Result<Incoming, ErrorCode> {
        let max = self.limits.message;
        let fits = |len: usize| match len <= max {
            true => Ok(()),
            false => Err(ErrorCode::MessageTooBig(max as u64)),
        };
        match mem::replace(&mut self.incoming, Incoming::Between) {
            Incoming::Skipped if piece.last => Ok(Incoming::Between),
            Incoming::Skipped => Ok(Incoming::Skipped),
            Incoming::Partly(kind, mut data) => {
                fits(data.len().saturating_add(piece.data.len()))?;
                data.extend_from_slice(&piece.data);
                match piece.last {
                    true => Message::new(kind, data.into()).map(Incoming::Whole),
                    false => Ok(Incoming::Partly(kind, data)),
                }
            }
            _ => {
                fits(piece.data.len())?;
                match piece.last {
                    true => Message::new(piece.kind, piece.data).map(Incoming::Whole),
                    false => Ok(Incoming::Partly(piece.kind, piece.data.into())),
                }
            }
        }
    }

    fn take_message(&mut self) -> Result<Message, ErrorCode> {
        match mem::replace(&mut self.incoming, Incoming::Between) {
            Incoming::Whole(message) => Ok(message),
            other => {
                // Another task was faster.
                self.incoming = other;
                Err(ErrorCode::WouldBlock)
            }
        }
    }

    /// Ready when something of a message is there, which is a stream's from now on.
    fn poll_begin_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<MessageType, ErrorCode>> {
        for _ in 0..PIECES_MAX {
            match mem::replace(&mut self.incoming, Incoming::Between) {
                Incoming::Whole(message) => {
                    let (kind, data) = message.into_parts();
                    self.incoming = Incoming::Streamed(data, true);
                    return Poll::Ready(Ok(kind));
                }
                Incoming::Partly(kind, data) => {
                    self.incoming = Incoming::Streamed(data.into(), false);
                    return Poll::Ready(Ok(kind));
                }
                streamed @ Incoming::Streamed(..) => {
                    self.incoming = streamed;
                    return Poll::Ready(Err(ErrorCode::InvalidState));
                }
                other => self.incoming = other,
            }
            let skipped = matches!(self.incoming, Incoming::Skipped);
            let piece = ready!(self.poll_piece(cx))?;
            match (skipped, piece.last) {
                (true, true) => self.incoming = Incoming::Between,
                (true, false) => {}
                (false, last) => {
                    self.incoming = Incoming::Streamed(piece.data, last);
                    return Poll::Ready(Ok(piece.kind));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next bytes of the message that a stream has; `None` at its end.
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<&mut Bytes>, ErrorCode>> {
        for _ in 0..PIECES_MAX {
            match &self.incoming {
                Incoming::Streamed(data, _) if !data.is_empty() => break,
                Incoming::Streamed(_, true) => return Poll::Ready(Ok(None)),
                Incoming::Streamed(_, false) => {}
                // The connection was closed here.
                _ => return Poll::Ready(Err(self.failed.clone().unwrap_or(ErrorCode::ClosedHere))),
            }
            let piece = ready!(self.poll_piece(cx))?;
            self.incoming = Incoming::Streamed(piece.data, piece.last);
        }
        match &mut self.incoming {
            Incoming::Streamed(data, _) if !data.is_empty() => Poll::Ready(Ok(Some(data))),
            _ => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// The stream has gone.
    pub(super) fn end_stream(&mut self) {
        self.incoming = match mem::replace(&mut self.incoming, Incoming::Between) {
            Incoming::Streamed(_, false) => Incoming::Skipped,
            Incoming::Streamed(_, true) => Incoming::Between,
            other => other,
        };
    }

    /// Ready when a message may be sent.
    fn poll_may_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        let busy = self.sending || self.closed;
        match self.poll_room(cx) {
            Poll::Ready(Err(end)) => Poll::Ready(Err(end)),
            _ if busy => Poll::Ready(Err(ErrorCode::InvalidState)),
            poll => poll,
        }
    }

    /// Ready when a part of a message may be sent.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        self.socket()?.poll_send(cx)
    }

    pub(super) fn send(&mut self, piece: Piece) -> Result<(), ErrorCode> {
        self.socket()?.send(piece)
    }

    /// No message is sent as a stream any more.
    pub(super) fn end_sending(&mut self) {
        self.sending = false;
    }
}

/// Ready when [`Connection::receive`] would give a message or an error.
pub struct Readable(Arc<Shared>);

impl Pollable for Readable {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_receive(cx, State::poll_message).map(drop)
    }
}

/// Ready when [`Connection::check_send`] would give more than 0, or an error.
pub struct Writable(Arc<Shared>);

impl Pollable for Writable {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_send(cx, State::poll_may_send).map(drop)
    }
}
