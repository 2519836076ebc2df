//! The operations of a TCP socket as WASI 0.3 has them: whole, where 0.2 begins each and asks
//! how it ended. The states are the same.

use super::{DynTcpSocket, State};
use crate::ErrorCode;
use crate::address::any;
use crate::incoming::IncomingConnections;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use wasi_io::Pollable;

impl DynTcpSocket {
    /// `bind` of WASI 0.3.
    ///
    /// # Errors
    /// Those of [`DynTcpSocket::start_bind`] and [`DynTcpSocket::finish_bind`].
    pub async fn bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        self.start_bind(&self.network.clone(), local)?;
        poll_fn(|cx| self.poll_ready(cx)).await;
        self.finish_bind()
    }

    /// `listen` of WASI 0.3: the connections that come in. A socket that is not bound is bound
    /// to any free port of every address.
    ///
    /// # Errors
    /// Those of [`DynTcpSocket::bind`], after which the socket is unbound as before; of
    /// [`DynTcpSocket::start_listen`] and of [`DynTcpSocket::finish_listen`].
    pub async fn listen(&mut self) -> Result<IncomingConnections, ErrorCode> {
        if !self.idle()?.bound {
            self.bind(any(self.family)).await?;
        }
        self.start_listen()?;
        poll_fn(|cx| self.poll_ready(cx)).await;
        self.finish_listen()?;
        match &mut self.state {
            State::Listening { incoming, .. } => incoming.take().ok_or(ErrorCode::InvalidState),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// `connect` of WASI 0.3 begins.
    ///
    /// # Errors
    /// Those of [`DynTcpSocket::start_connect`].
    pub fn connect(&mut self, remote: SocketAddr) -> Result<(), ErrorCode> {
        self.start_connect(&self.network.clone(), remote)
    }

    /// `connect` of WASI 0.3 goes on, after [`DynTcpSocket::connect`]. Pending, it keeps the
    /// waker of `cx`. Where nobody asks any more, the socket is connecting until it is dropped.
    ///
    /// # Errors
    /// Those of [`DynTcpSocket::finish_connect`].
    pub fn poll_connect(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        ready!(self.poll_ready(cx));
        Poll::Ready(self.end_connect())
    }
}
