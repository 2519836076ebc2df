use super::{Net, Options, Port};
use crate::{ErrorCode, IpAddressFamily, Socket, SocketOption, UdpSocket};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use wasi_io::WakerSet;
use wasi_io::sync::Mutex;

/// The longest payload: what a length of 16 bits leaves beside the headers.
const PAYLOAD_V4: usize = 65_507;
const PAYLOAD_V6: usize = 65_527;
/// What a datagram in the queue counts beside its bytes, so that empty ones have an end too.
const OVERHEAD: usize = 64;

/// A UDP socket in memory.
pub(super) struct LoopbackUdpSocket {
    net: Arc<Net>,
    family: IpAddressFamily,
    inbox: Arc<Inbox>,
    port: Mutex<Option<Port<Inbox>>>,
    options: Options,
}

/// What others reach of a socket.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: WakerSet,
}

#[derive(Default)]
struct State {
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    /// What the queue counts for, and when it is full.
    held: usize,
    limit: usize,
    /// The only one to take from.
    peer: Option<SocketAddr>,
    /// Nobody received what was sent to the peer.
    refused: bool,
}

impl LoopbackUdpSocket {
    pub(super) fn new(net: Arc<Net>, family: IpAddressFamily) -> Self {
        let this = Self {
            net,
            family,
            inbox: Arc::default(),
            port: Mutex::new(None),
            options: Options::new(),
        };
        this.set_limit();
        this
    }

    fn set_limit(&self) {
        let size = self.options.get(SocketOption::ReceiveBufferSize);
        let limit = size.map_or(0, |size| usize::try_from(size).unwrap_or(usize::MAX));
        self.inbox.state.lock().limit = limit;
    }

    fn bind(&self, local: SocketAddr) -> Result<(), ErrorCode> {
        if !self.net.has(local.ip()) && !local.ip().is_unspecified() {
            return Err(ErrorCode::AddressNotBindable);
        }
        let mut port = self.port.lock();
        if port.is_some() {
            return Err(ErrorCode::InvalidState);
        }
        let bound = Port::bind(&self.net.udp, local)?;
        bound.give(&self.inbox);
        *port = Some(bound);
        Ok(())
    }

    fn bound(&self) -> Result<SocketAddr, ErrorCode> {
        let port = self.port.lock();
        port.as_ref()
            .map(|port| port.address)
            .ok_or(ErrorCode::InvalidState)
    }

    fn send_to(&self, bytes: &[u8], remote: SocketAddr) -> Result<(), ErrorCode> {
        let bound = self.bound()?;
        self.inbox.state.lock().take_refused()?;
        let most = match self.family {
            IpAddressFamily::Ipv4 => PAYLOAD_V4,
            IpAddressFamily::Ipv6 => PAYLOAD_V6,
        };
        if bytes.len() > most {
            return Err(ErrorCode::DatagramTooLarge);
        }
        if !self.net.has(remote.ip()) {
            return Err(ErrorCode::RemoteUnreachable);
        }
        let from = from(bound, remote);
        let taken = match self.net.udp.find(remote) {
            Some(inbox) => inbox.take(from, bytes),
            None => false,
        };
        // As UDP has it: only who is connected is told.
        let mut state = self.inbox.state.lock();
        if !taken && state.peer.is_some() {
            state.refused = true;
            drop(state);
            self.inbox.changed.wake_all();
        }
        Ok(())
    }
}

/// Where what goes to `remote` comes from.
fn from(bound: SocketAddr, remote: SocketAddr) -> SocketAddr {
    match bound.ip().is_unspecified() {
        true => SocketAddr::new(remote.ip(), bound.port()),
        false => bound,
    }
}

impl State {
    fn take_refused(&mut self) -> Result<(), ErrorCode> {
        match core::mem::take(&mut self.refused) {
            true => Err(ErrorCode::ConnectionRefused),
            false => Ok(()),
        }
    }
}

impl Inbox {
    /// Whether somebody is here for what comes from `from`; where the queue is full, it is
    /// lost.
    fn take(&self, from: SocketAddr, bytes: &[u8]) -> bool {
        {
            let mut state = self.state.lock();
            if state.peer.is_some_and(|peer| peer != from) {
                return false;
            }
            if state.held >= state.limit {
                return true;
            }
            state.held += bytes.len() + OVERHEAD;
            state.datagrams.push_back((from, bytes.to_vec()));
        }
        self.changed.wake_all();
        true
    }

    /// Gives `f` the state when there is something to receive.
    fn poll<T>(&self, cx: &mut Context<'_>, f: impl FnOnce(&mut State) -> T) -> Poll<T> {
        let mut state = self.state.lock();
        if state.datagrams.is_empty() && !state.refused {
            // Under the lock, so that no datagram comes between.
            self.changed.register(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(f(&mut state))
    }
}

impl Socket for LoopbackUdpSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        let bound = self.bound()?;
        let peer = self.inbox.state.lock().peer;
        Ok(peer.map_or(bound, |peer| from(bound, peer)))
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.options.get(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.options.set(option, value);
        self.set_limit();
        Ok(())
    }
}

impl UdpSocket for LoopbackUdpSocket {
    fn poll_bind(&self, _: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(self.bind(local))
    }

    fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        if !self.net.has(remote.ip()) {
            return Err(ErrorCode::RemoteUnreachable);
        }
        // Without flow and scope, which nothing here has.
        let peer = SocketAddr::new(remote.ip(), remote.port());
        self.inbox.state.lock().peer = Some(peer);
        Ok(())
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        let mut state = self.inbox.state.lock();
        state.peer = None;
        state.refused = false;
        Ok(())
    }

    fn poll_send_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        bytes: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(self.send_to(bytes, remote))
    }

    fn poll_receive_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inbox.poll(cx, |_| ())
    }

    fn poll_receive_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        self.inbox.poll(cx, |state| {
            state.take_refused()?;
            let (from, bytes) = state.datagrams.pop_front().ok_or(ErrorCode::Unknown)?;
            state.held -= bytes.len() + OVERHEAD;
            let n = bytes.len().min(buf.len());
            buf[..n].copy_from_slice(&bytes[..n]);
            Ok((n, from))
        })
    }
}
