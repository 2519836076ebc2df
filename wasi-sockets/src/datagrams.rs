//! The streams of a UDP socket, as the WIT text of `wasi:sockets/udp` has them, over any
//! backend.

use crate::address::check_peer;
use crate::ctx::Slot;
use crate::{DATAGRAM_MAX, ErrorCode, IpAddressFamily, UdpSocket};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker, ready};
use wasi_io::{Pollable, Trap, WakerSet};

/// The most datagrams that one `receive` gives, and that one `send` takes.
const BATCH: usize = 64;
/// A `receive` that has this many bytes takes no further datagram.
const RECEIVE_BYTES: usize = 64 << 10;

/// A datagram that came in (`wasi:sockets/udp.incoming-datagram`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingDatagram {
    /// Its bytes, at most [`DATAGRAM_MAX`].
    pub data: Vec<u8>,
    /// Who sent it.
    pub remote_address: SocketAddr,
}

/// A datagram to send (`wasi:sockets/udp.outgoing-datagram`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingDatagram {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Where it goes: needed where the stream has no peer, and no other than the peer where
    /// it has one.
    pub remote_address: Option<SocketAddr>,
}

/// What the two streams of one `stream` call share.
pub(crate) struct Association {
    backend: Arc<dyn UdpSocket>,
    family: IpAddressFamily,
    remote: Option<SocketAddr>,
    /// `stream` was called again.
    ended: AtomicBool,
    end: WakerSet,
    _slot: Arc<Slot>,
}

impl Association {
    pub(crate) fn new(
        backend: Arc<dyn UdpSocket>,
        family: IpAddressFamily,
        remote: Option<SocketAddr>,
        slot: Arc<Slot>,
    ) -> Self {
        Self {
            backend,
            family,
            remote,
            ended: AtomicBool::new(false),
            end: WakerSet::new(),
            _slot: slot,
        }
    }

    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.end.wake_all();
    }

    fn backend(&self) -> Result<&dyn UdpSocket, ErrorCode> {
        match self.ended.load(Ordering::Acquire) {
            true => Err(ErrorCode::InvalidState),
            false => Ok(&*self.backend),
        }
    }

    /// Ready when `poll` is, or when the streams have ended.
    fn poll(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&dyn UdpSocket, &mut Context<'_>) -> Poll<()>,
    ) -> Poll<()> {
        let Ok(backend) = self.backend() else {
            return Poll::Ready(());
        };
        if poll(backend, cx).is_ready() {
            return Poll::Ready(());
        }
        self.end.register(cx.waker());
        // It may have come before the waker was there.
        match self.backend() {
            Ok(_) => Poll::Pending,
            Err(_) => Poll::Ready(()),
        }
    }

    /// Receives a datagram of the peer, if there is one, into `buf`, which is empty or as long
    /// as a datagram can be, and is long enough after.
    fn poll_receive_into(
        &self,
        cx: &mut Context<'_>,
        buf: &mut Vec<u8>,
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        // Others may go on sending: they must not keep the host here.
        for _ in 0..BATCH {
            let backend = self.backend()?;
            if buf.is_empty() {
                // So that a wait costs no buffer.
                ready!(backend.poll_receive_ready(cx));
                *buf = vec![0; DATAGRAM_MAX];
            }
            let (len, from) = ready!(backend.poll_receive_from(cx, buf))?;
            if self.is_from_peer(&from) {
                let from = self.remote.unwrap_or(from);
                return Poll::Ready(Ok((len.min(DATAGRAM_MAX), from)));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Receives a datagram. Ready with [`ErrorCode::InvalidState`] when this has ended.
    pub(crate) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<IncomingDatagram, ErrorCode>> {
        let mut received = Err(ErrorCode::InvalidState);
        ready!(self.poll(cx, |_, cx| {
            let mut data = Vec::new();
            let (len, remote_address) = match ready!(self.poll_receive_into(cx, &mut data)) {
                Ok(datagram) => datagram,
                Err(error) => {
                    received = Err(error);
                    return Poll::Ready(());
                }
            };
            data.truncate(len);
            received = Ok(IncomingDatagram {
                data,
                remote_address,
            });
            Poll::Ready(())
        }));
        Poll::Ready(received)
    }

    /// Sends a datagram to where [`destination`] says. Ready with [`ErrorCode::InvalidState`]
    /// when this has ended.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        let mut sent = Err(ErrorCode::InvalidState);
        ready!(self.poll(cx, |backend, cx| {
            let poll = backend.poll_send_to(cx, data, remote);
            poll.map(|result| sent = result)
        }));
        Poll::Ready(sent)
    }

    /// Whether the peer, if there is one, sent what came from `from`.
    fn is_from_peer(&self, from: &SocketAddr) -> bool {
        match (&self.remote, from) {
            (None, _) => true,
            // The flow is no part of an address; a scope that the guest left open is any.
            (Some(SocketAddr::V6(peer)), SocketAddr::V6(from)) => {
                (peer.ip(), peer.port()) == (from.ip(), from.port())
                    && (peer.scope_id() == 0 || peer.scope_id() == from.scope_id())
            }
            (Some(peer), from) => peer == from,
        }
    }
}

/// Where a datagram of `len` bytes for `remote` goes, from a socket of the family `of` that may
/// have a peer, if the WIT text lets it.
pub(crate) fn destination(
    of: IpAddressFamily,
    peer: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    len: usize,
) -> Result<SocketAddr, ErrorCode> {
    let to = match (peer, remote) {
        (Some(peer), None) => peer,
        (Some(peer), Some(remote)) if peer == remote => peer,
        (None, Some(remote)) => {
            check_peer(of, &remote)?;
            remote
        }
        _ => return Err(ErrorCode::InvalidArgument),
    };
    match len <= DATAGRAM_MAX {
        true => Ok(to),
        false => Err(ErrorCode::DatagramTooLarge),
    }
}

/// An `incoming-datagram-stream`.
pub struct IncomingDatagramStream {
    association: Arc<Association>,
    /// Was taken to see whether it is from the peer, or failed after others were taken.
    next: Option<Result<IncomingDatagram, ErrorCode>>,
}

impl IncomingDatagramStream {
    pub(crate) fn new(association: Arc<Association>) -> Self {
        Self {
            association,
            next: None,
        }
    }

    /// `receive`: up to `max_results` datagrams that are there now, and no more than the host
    /// holds at a time (64, and none after 64 KiB of them); none is no error.
    ///
    /// # Errors
    /// No datagram was taken.
    /// - [`ErrorCode::InvalidState`]: the stream has ended, see
    ///   [`DynUdpSocket::stream`](crate::DynUdpSocket::stream).
    /// - those of [`UdpSocket::poll_receive_from`].
    pub fn receive(&mut self, max_results: u64) -> Result<Vec<IncomingDatagram>, ErrorCode> {
        self.association.backend()?;
        let max = usize::try_from(max_results).map_or(BATCH, |max| max.min(BATCH));
        let (mut received, mut bytes) = (Vec::new(), 0);
        let mut cx = Context::from_waker(Waker::noop());
        let mut buf = Vec::new();
        let association = &self.association;
        while received.len() < max && bytes < RECEIVE_BYTES {
            let next = match self.next.take() {
                Some(next) => next,
                None => match association.poll_receive_into(&mut cx, &mut buf) {
                    Poll::Ready(next) => next.map(|(len, remote_address)| IncomingDatagram {
                        data: buf[..len].to_vec(),
                        remote_address,
                    }),
                    Poll::Pending => break,
                },
            };
            match next {
                Ok(datagram) => {
                    bytes += datagram.data.len();
                    received.push(datagram);
                }
                Err(error) if received.is_empty() => return Err(error),
                Err(error) => {
                    self.next = Some(Err(error));
                    break;
                }
            }
        }
        Ok(received)
    }
}

impl Pollable for IncomingDatagramStream {
    /// `subscribe`: ready when `receive` would give a datagram or an error.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_some() {
            return Poll::Ready(());
        }
        let association = &self.association;
        if association.remote.is_none() {
            return association.poll(cx, |backend, cx| backend.poll_receive_ready(cx));
        }
        // Only the datagram itself tells whether it is from the peer.
        let next = ready!(association.poll_receive(cx));
        // What ended in the meantime says so at the call.
        if association.backend().is_ok() {
            self.next = Some(next);
        }
        Poll::Ready(())
    }
}

/// An `outgoing-datagram-stream`, with the permit that `check-send` gave.
pub struct OutgoingDatagramStream {
    association: Arc<Association>,
    permit: usize,
    /// What the network said of earlier datagrams, after others were sent.
    failed: Option<ErrorCode>,
}

impl OutgoingDatagramStream {
    pub(crate) fn new(association: Arc<Association>) -> Self {
        Self {
            association,
            permit: 0,
            failed: None,
        }
    }

    /// `check-send`: how many datagrams the next [`OutgoingDatagramStream::send`] may bring;
    /// 0 while none can be sent.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the stream has ended, see
    ///   [`DynUdpSocket::stream`](crate::DynUdpSocket::stream).
    pub fn check_send(&mut self) -> Result<u64, ErrorCode> {
        self.permit = 0;
        self.association.backend()?;
        let mut cx = Context::from_waker(Waker::noop());
        if self.poll_ready(&mut cx).is_ready() {
            self.permit = BATCH;
        }
        Ok(self.permit as u64)
    }

    /// `send`: sends `datagrams` in order, until one can't be sent now, and says how many were.
    /// It uses up the permit, except that no datagrams need and use none.
    ///
    /// # Errors
    /// [`Trap`]: there are more than the permit. An [`ErrorCode`]: none was sent.
    /// - [`ErrorCode::InvalidArgument`]: the destination is of the other family, IPv4-mapped,
    ///   unspecified or without a port; it is not the peer; or there is neither.
    /// - [`ErrorCode::DatagramTooLarge`]: the datagram is longer than [`DATAGRAM_MAX`], or than
    ///   the network carries.
    /// - [`ErrorCode::InvalidState`]: the stream has ended, see
    ///   [`DynUdpSocket::stream`](crate::DynUdpSocket::stream).
    /// - those of [`UdpSocket::poll_send_to`].
    pub fn send(&mut self, datagrams: &[OutgoingDatagram]) -> Result<Result<u64, ErrorCode>, Trap> {
        let backend = match self.association.backend() {
            Ok(backend) => backend,
            Err(ended) => return Ok(Err(ended)),
        };
        if datagrams.is_empty() {
            return Ok(Ok(0));
        }
        if datagrams.len() > self.permit {
            return Err(Trap(
                "outgoing-datagram-stream: send has more datagrams than check-send permitted",
            ));
        }
        self.permit = 0;
        if let Some(error) = self.failed.take() {
            return Ok(Err(error));
        }
        let mut cx = Context::from_waker(Waker::noop());
        let mut sent = 0;
        for datagram in datagrams {
            let result = match self.destination(datagram) {
                Ok(remote) => match backend.poll_send_to(&mut cx, &datagram.data, remote) {
                    Poll::Ready(result) => result,
                    Poll::Pending => break,
                },
                Err(refused) => Err(refused),
            };
            match result {
                Ok(()) => sent += 1,
                Err(error) if sent == 0 => return Ok(Err(error)),
                // It comes again with the datagram, unless it was about those before.
                Err(error) => {
                    if matches!(
                        error,
                        ErrorCode::RemoteUnreachable | ErrorCode::ConnectionRefused
                    ) {
                        self.failed = Some(error);
                    }
                    break;
                }
            }
        }
        Ok(Ok(sent))
    }

    fn destination(&self, datagram: &OutgoingDatagram) -> Result<SocketAddr, ErrorCode> {
        let Association { family, remote, .. } = *self.association;
        destination(family, remote, datagram.remote_address, datagram.data.len())
    }
}

impl Pollable for OutgoingDatagramStream {
    /// `subscribe`: ready when `check-send` would give at least 1 or an error.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.failed.is_some() {
            return Poll::Ready(());
        }
        self.association
            .poll(cx, |backend, cx| backend.poll_send_ready(cx))
    }
}
