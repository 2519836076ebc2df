//! The connections that come in at a listening socket, over any backend.

use crate::ctx::{Slot, Slots};
use crate::{
    DynNetwork, DynTcpSocket, ErrorCode, IpAddressFamily, TcpInputStream, TcpListener,
    TcpOutputStream, TcpStream,
};
use alloc::sync::Arc;
use core::task::{Context, Poll, Waker, ready};
use wasi_io::Pollable;

/// What `accept` gives: the socket of the connection, its input and its output.
pub type Accepted = (DynTcpSocket, TcpInputStream, TcpOutputStream);

/// How many connections that failed are passed over before others have a turn.
const BATCH: usize = 64;

/// The connections of a listening socket, one after another: what `listen` of WASI 0.3 gives.
///
/// It keeps the listener, and so its address, as the socket does. Dropping it closes what was
/// accepted and not taken; others wait in the backlog while there is a socket.
pub struct IncomingConnections {
    listener: Arc<dyn TcpListener>,
    family: IpAddressFamily,
    network: DynNetwork,
    slots: Slots,
    /// Was accepted to see whether there is one.
    next: Option<Result<Arc<dyn TcpStream>, ErrorCode>>,
}

impl IncomingConnections {
    pub(crate) fn new(
        listener: Arc<dyn TcpListener>,
        family: IpAddressFamily,
        network: DynNetwork,
        slots: Slots,
    ) -> Self {
        Self {
            listener,
            family,
            network,
            slots,
            next: None,
        }
    }

    /// `accept`, see [`DynTcpSocket::accept`].
    pub(crate) fn accept(&mut self) -> Result<DynTcpSocket, ErrorCode> {
        let _ = self.poll_ready(&mut Context::from_waker(Waker::noop()));
        match self.next.take() {
            None => Err(ErrorCode::WouldBlock),
            Some(Err(error)) => Err(error),
            Some(Ok(stream)) => match self.slots.take(ErrorCode::NewSocketLimit) {
                Ok(slot) => Ok(self.socket(stream, slot)),
                Err(full) => {
                    self.next = Some(Ok(stream));
                    Err(full)
                }
            },
        }
    }

    /// The next connection. Those that ended before they were accepted are passed over, and
    /// while the guest or the system has no more sockets, it waits. Pending, nothing is lost
    /// and the waker of `cx` is kept.
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<DynTcpSocket> {
        ready!(self.poll_connection(cx));
        let slot = ready!(self.slots.poll_take(cx));
        match self.next.take() {
            Some(Ok(stream)) => Poll::Ready(self.socket(stream, slot)),
            _ => unreachable!("a connection was seen just now"),
        }
    }

    /// Ready when [`IncomingConnections::poll_accept`] would be.
    pub fn poll_acceptable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_connection(cx));
        self.slots.poll_take(cx).map(drop)
    }

    /// Ready when a connection is there.
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BATCH {
            ready!(self.poll_ready(cx));
            match self.next {
                Some(Ok(_)) => return Poll::Ready(()),
                _ => self.next = None,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn socket(&self, stream: Arc<dyn TcpStream>, slot: Slot) -> DynTcpSocket {
        DynTcpSocket::connected(
            self.family,
            self.network.clone(),
            self.slots.clone(),
            stream,
            slot,
        )
    }
}

impl Pollable for IncomingConnections {
    /// Ready when there is a connection, or one that failed.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() {
            self.next = Some(ready!(self.listener.poll_accept(cx)));
        }
        Poll::Ready(())
    }
}
