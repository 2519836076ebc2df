//! The operations of a UDP socket as WASI 0.3 has them: without streams, and whole where 0.2
//! begins each and asks how it ended. The states are the same.

use super::{DynUdpSocket, State};
use crate::address::{any, check_family, check_peer};
use crate::datagrams::{Association, destination};
use crate::{ErrorCode, IncomingDatagram};
use alloc::sync::Arc;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use wasi_io::Pollable;

impl DynUdpSocket {
    /// `bind` of WASI 0.3.
    ///
    /// # Errors
    /// Those of [`DynUdpSocket::start_bind`] and [`DynUdpSocket::finish_bind`].
    pub async fn bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        self.start_bind(&self.network.clone(), local)?;
        poll_fn(|cx| self.poll_ready(cx)).await;
        self.finish_bind()
    }

    /// `connect` of WASI 0.3: limits the socket to the peer `remote`, in place of an earlier
    /// one. A socket that is not bound is bound to any free port of every address.
    ///
    /// # Errors
    /// - those of [`DynUdpSocket::bind`], after which it is unbound as before.
    /// - those of [`DynUdpSocket::stream`].
    pub async fn connect(&mut self, remote: SocketAddr) -> Result<(), ErrorCode> {
        check_peer(self.family, &remote)?;
        poll_fn(|cx| self.poll_bound(cx)).await?;
        self.associate(Some(remote)).map(drop)
    }

    /// `disconnect` of WASI 0.3: any peer again.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: there is no peer.
    /// - those of [`UdpSocket::disconnect`](crate::UdpSocket::disconnect): every later call is
    ///   [`ErrorCode::InvalidState`].
    pub fn disconnect(&mut self) -> Result<(), ErrorCode> {
        self.remote_address()?;
        self.associate(None).map(drop)
    }

    /// `send` of WASI 0.3: one datagram, to the peer or to `remote`. A socket that is not bound
    /// is bound to any free port of every address. Pending, nothing was sent and the waker of
    /// `cx` is kept; any number of tasks may wait.
    ///
    /// # Errors
    /// Nothing was sent.
    /// - [`ErrorCode::InvalidArgument`]: `remote` is of the other family, IPv4-mapped or
    ///   unspecified; it is not the peer; or there is neither.
    /// - [`ErrorCode::AddressNotBindable`]: `remote` has no port, and there is no peer.
    /// - [`ErrorCode::DatagramTooLarge`]: `data` is longer than
    ///   [`DATAGRAM_MAX`](crate::DATAGRAM_MAX), or than the network carries.
    /// - those of [`DynUdpSocket::bind`], after which it is unbound as before.
    /// - those of [`UdpSocket::poll_send_to`](crate::UdpSocket::poll_send_to).
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        remote: Option<SocketAddr>,
    ) -> Poll<Result<(), ErrorCode>> {
        let peer = self.remote_address().ok();
        // The WIT text has `invalid-argument` here, but a released test of the official suite,
        // `sockets-udp-send`, takes no other code than this, and later ones take both.
        if let (None, Some(remote)) = (peer, remote)
            && remote.port() == 0
            && !remote.ip().is_unspecified()
            && check_family(self.family, &remote).is_ok()
        {
            return Poll::Ready(Err(ErrorCode::AddressNotBindable));
        }
        let to = destination(self.family, peer, remote, data.len())?;
        ready!(self.poll_bound(cx))?;
        self.association()?.poll_send(cx, data, to)
    }

    /// `receive` of WASI 0.3: one datagram, of the peer where there is one. Pending, none was
    /// taken and the waker of `cx` is kept; any number of tasks may wait, of which one gets it.
    ///
    /// # Errors
    /// No datagram was taken.
    /// - [`ErrorCode::InvalidState`]: the socket is not bound.
    /// - those of [`UdpSocket::poll_receive_from`](crate::UdpSocket::poll_receive_from).
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<IncomingDatagram, ErrorCode>> {
        self.association()?.poll_receive(cx)
    }

    /// Ready when the socket is bound, which it is to any address if nobody has said.
    fn poll_bound(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        match &self.state {
            State::Bound { .. } => return Poll::Ready(Ok(())),
            State::Closed => return Poll::Ready(Err(ErrorCode::InvalidState)),
            State::Unbound(_) => self.start_bind(&self.network.clone(), any(self.family))?,
            State::BindInProgress { .. } => {}
        }
        ready!(self.poll_ready(cx));
        Poll::Ready(self.finish_bind())
    }

    /// What a bound socket sends and receives with.
    fn association(&mut self) -> Result<Arc<Association>, ErrorCode> {
        match &self.state {
            State::Bound {
                streams: Some(association),
                ..
            } => Ok(association.clone()),
            _ => self.associate(None),
        }
    }
}
