//! Connections within this program, and the queues that a backend with a task of its own
//! needs.

use super::{CloseStatus, Connector, ErrorCode, Established, Handshake, Limits, Piece, Socket};
use crate::BoxFuture;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::mem;
use core::task::{Context, Poll, Waker};
use wasi_io::sync::Mutex;

/// What a part of a message counts in a queue besides its bytes: it bounds their number.
pub const PIECE_OVERHEAD: usize = 64;

/// A connection whose two ends are both here, with `queue` bytes waiting in each direction.
/// There is no clock in it: who closes one end waits for the other to receive that.
pub fn pair(queue: usize) -> (LinkSocket, PairSocket) {
    let (socket, port) = link(queue);
    let socket_there = PairSocket { port, end: None };
    (socket, socket_there)
}

/// A connection as its user has it, and the end for what moves its messages, such as a task
/// that speaks the protocol, with `queue` bytes (at least 1) waiting in each direction. See
/// [`Limits::queue`](super::Limits::queue).
pub fn link(queue: usize) -> (LinkSocket, Port) {
    let shared = Arc::new(Mutex::new(State {
        limit: queue.max(1),
        outgoing: Queue::default(),
        incoming: Queue::default(),
        close: Close::Open,
        end: None,
        receiver: None,
        sender: None,
        port: None,
    }));
    (LinkSocket(shared.clone()), Port(shared))
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    cost: usize,
}

impl Queue {
    fn push(&mut self, piece: Piece) {
        self.cost = self.cost.saturating_add(cost(&piece));
        self.pieces.push_back(piece);
    }

    fn pop(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.cost -= cost(&piece);
        Some(piece)
    }
}

fn cost(piece: &Piece) -> usize {
    piece.data.len().saturating_add(PIECE_OVERHEAD)
}

enum Close {
    Open,
    /// The port is to be told.
    Asked(Option<CloseStatus>, ErrorCode),
    /// The port was told.
    Told,
}

struct State {
    limit: usize,
    outgoing: Queue,
    incoming: Queue,
    close: Close,
    end: Option<ErrorCode>,
    receiver: Option<Waker>,
    sender: Option<Waker>,
    port: Option<Waker>,
}

impl State {
    fn is_open(&self) -> bool {
        matches!(self.close, Close::Open)
    }
}

/// Keeps the waker of `cx` in `slot`.
fn keep(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

fn wake<const N: usize>(wakers: [Option<Waker>; N]) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}

/// The user's end of a [`link`], or the first of a [`pair`].
pub struct LinkSocket(Arc<Mutex<State>>);

impl Socket for LinkSocket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, ErrorCode>> {
        let mut state = self.0.lock();
        let full = state.incoming.cost >= state.limit;
        if let Some(piece) = state.incoming.pop() {
            // The port waits for room only while there is none.
            let port = match full && state.incoming.cost < state.limit {
                true => state.port.take(),
                false => None,
            };
            drop(state);
            wake([port]);
            return Poll::Ready(Ok(piece));
        }
        if let Some(end) = &state.end {
            return Poll::Ready(Err(end.clone()));
        }
        keep(&mut state.receiver, cx);
        Poll::Pending
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        let mut state = self.0.lock();
        if let Some(end) = &state.end {
            return Poll::Ready(Err(end.clone()));
        }
        match state.limit.saturating_sub(state.outgoing.cost) {
            0 => {
                keep(&mut state.sender, cx);
                Poll::Pending
            }
            room => Poll::Ready(Ok(room)),
        }
    }

    fn send(&mut self, piece: Piece) -> Result<(), ErrorCode> {
        let port = {
            let mut state = self.0.lock();
            if let Some(end) = &state.end {
                return Err(end.clone());
            }
            if !state.is_open() {
                return Err(ErrorCode::InvalidState);
            }
            state.outgoing.push(piece);
            state.port.take()
        };
        wake([port]);
        Ok(())
    }

    fn close(&mut self, status: Option<CloseStatus>, end: ErrorCode) {
        let (port, dropped) = {
            let mut state = self.0.lock();
            if !state.is_open() {
                return;
            }
            state.close = Close::Asked(status, end);
            (state.port.take(), mem::take(&mut state.incoming))
        };
        drop(dropped);
        wake([port]);
    }
}

impl Drop for LinkSocket {
    fn drop(&mut self) {
        self.close(Some(going_away()), ErrorCode::ClosedHere);
    }
}

fn going_away() -> CloseStatus {
    CloseStatus {
        code: 1001,
        reason: String::new(),
    }
}

/// What the user of a connection wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// To send this.
    Send(Piece),
    /// To close the connection with this status, after what was sent before. When that is done,
    /// the end is this one, unless there was another.
    Close(Option<CloseStatus>, ErrorCode),
}

/// The other end of a [`link`]. One task at a time uses it. Dropped before [`Port::end`], the
/// connection is lost.
pub struct Port(Arc<Mutex<State>>);

impl Port {
    /// What the user wants next. After an [`Order::Close`] it is pending for ever.
    ///
    /// Pending, it keeps the waker of `cx`, as the other two do.
    pub fn poll_order(&mut self, cx: &mut Context<'_>) -> Poll<Order> {
        let mut state = self.0.lock();
        if let Some(piece) = state.outgoing.pop() {
            let sender = match state.outgoing.cost < state.limit {
                true => state.sender.take(),
                false => None,
            };
            drop(state);
            wake([sender]);
            return Poll::Ready(Order::Send(piece));
        }
        match mem::replace(&mut state.close, Close::Told) {
            Close::Asked(status, end) => Poll::Ready(Order::Close(status, end)),
            other => {
                state.close = other;
                keep(&mut state.port, cx);
                Poll::Pending
            }
        }
    }

    /// Ready while a part of a message may be put. After the user closed the connection it is
    /// always: what comes is dropped.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.incoming.cost < state.limit || !state.is_open() {
            return Poll::Ready(());
        }
        keep(&mut state.port, cx);
        Poll::Pending
    }

    /// Gives the user a part of a message, after [`Port::poll_room`] was ready.
    pub fn put(&mut self, piece: Piece) {
        let receiver = {
            let mut state = self.0.lock();
            if !state.is_open() || state.end.is_some() {
                return;
            }
            state.incoming.push(piece);
            state.receiver.take()
        };
        wake([receiver]);
    }

    /// Ready when the user has closed the connection, or dropped it: there are no more orders
    /// than those that wait.
    pub fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if !state.is_open() {
            return Poll::Ready(());
        }
        keep(&mut state.port, cx);
        Poll::Pending
    }

    /// The connection has ended: the first call says how.
    pub fn end(&mut self, end: ErrorCode) {
        let (wakers, dropped) = {
            let mut state = self.0.lock();
            state.end.get_or_insert(end);
            let wakers = [state.receiver.take(), state.sender.take()];
            (wakers, mem::take(&mut state.outgoing))
        };
        drop(dropped);
        wake(wakers);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.end(ErrorCode::ConnectionLost);
    }
}

/// A connection whose peer sends each message back, with `queue` bytes waiting in each direction.
pub fn echo(queue: usize) -> EchoSocket {
    let (here, there) = pair(queue);
    EchoSocket { here, there }
}

/// An [`echo`].
pub struct EchoSocket {
    here: LinkSocket,
    there: PairSocket,
}

impl EchoSocket {
    /// Moves all that can be moved. After each change here, so that nobody needs to be woken
    /// for it.
    fn echo(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        while self.there.poll_send(cx).is_ready()
            && let Poll::Ready(Ok(piece)) = self.there.poll_receive(cx)
        {
            // There is room.
            let _ = self.there.send(piece);
        }
    }
}

impl Socket for EchoSocket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, ErrorCode>> {
        let poll = self.here.poll_receive(cx);
        if poll.is_ready() {
            self.echo();
        }
        poll
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        self.here.poll_send(cx)
    }

    fn send(&mut self, piece: Piece) -> Result<(), ErrorCode> {
        self.here.send(piece)?;
        self.echo();
        Ok(())
    }

    fn close(&mut self, status: Option<CloseStatus>, end: ErrorCode) {
        self.here.close(status, end);
        self.echo();
    }
}

/// A connector that asks a function, which answers at once.
pub struct Service<F>(F);

impl<F> Service<F>
where
    F: Fn(Handshake, Limits) -> Result<Established, ErrorCode> + Send + Sync + 'static,
{
    /// Connects with `connect`.
    pub fn new(connect: F) -> Self {
        Self(connect)
    }
}

impl<F> Connector for Service<F>
where
    F: Fn(Handshake, Limits) -> Result<Established, ErrorCode> + Send + Sync + 'static,
{
    fn connect(
        &self,
        handshake: Handshake,
        limits: Limits,
    ) -> BoxFuture<Result<Established, ErrorCode>> {
        Box::pin(core::future::ready((self.0)(handshake, limits)))
    }
}

/// The second end of a [`pair`].
pub struct PairSocket {
    port: Port,
    end: Option<ErrorCode>,
}

impl Socket for PairSocket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, ErrorCode>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone()));
        }
        self.port.poll_order(cx).map(|order| match order {
            Order::Send(piece) => Ok(piece),
            Order::Close(status, end) => {
                self.port.end(end);
                let end = ErrorCode::ClosedByPeer(status);
                self.end = Some(end.clone());
                Err(end)
            }
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone()));
        }
        let ready = self.port.poll_room(cx);
        let state = self.port.0.lock();
        ready.map(|()| Ok(state.limit.saturating_sub(state.incoming.cost).max(1)))
    }

    fn send(&mut self, piece: Piece) -> Result<(), ErrorCode> {
        match &self.end {
            Some(end) => Err(end.clone()),
            None => {
                self.port.put(piece);
                Ok(())
            }
        }
    }

    fn close(&mut self, status: Option<CloseStatus>, end: ErrorCode) {
        if self.end.is_none() {
            self.port.end(ErrorCode::ClosedByPeer(status));
            self.end = Some(end);
        }
    }
}

impl Drop for PairSocket {
    fn drop(&mut self) {
        self.close(Some(going_away()), ErrorCode::ClosedHere);
    }
}
