use super::Shared;
use super::conn::endpoint;
use super::options::Options;
use super::signal::{Kind, Signal};
use super::stack::Stack;
use crate::{ErrorCode, IpAddressFamily, Socket, SocketOption, UdpSocket};
use alloc::sync::Arc;
use alloc::vec;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll, Waker};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, SendError, Socket as Udp};
use smoltcp::wire::IpListenEndpoint;
use wasi_io::sync::Mutex;

/// Bytes of a buffer for each datagram that it can hold, and the least of those.
const PER_DATAGRAM: usize = 512;
const DATAGRAMS_MIN: usize = 8;
const UDP_HEADER: usize = 8;

/// How long a datagram may wait for a neighbour that does not answer (as the resolution of
/// addresses of RFC 4861, 10 has it): smoltcp would try for ever, and with it hold back all
/// that was sent after.
const UNANSWERED: u64 = 3_000_000_000;

/// What the stack knows of a UDP socket.
pub(super) struct Inbox {
    signal: Arc<Signal>,
    waker: Waker,
    bound: SocketAddr,
    /// Bytes of its buffers.
    bytes: usize,
    /// A datagram found no room to be sent, and none has become since.
    full: bool,
    /// Bytes that wait to be sent, since when.
    waits: Option<(usize, u64)>,
    /// Nobody has it any more; it is there for what waits to be sent.
    closing: bool,
}

impl Stack {
    fn bind_udp(
        &mut self,
        local: SocketAddr,
        options: &Options,
    ) -> Result<SocketHandle, ErrorCode> {
        if !self.is_own(local.ip()) {
            return Err(ErrorCode::AddressNotBindable);
        }
        // So that the longest datagram fits.
        let least = self.phy.ip_mtu();
        let (receive, send) = (options.receive.max(least), options.send.max(least));
        let bytes = receive.saturating_add(send);
        self.room(bytes)?;
        let bound = self.udp_ports.bind(local)?;
        self.remove_closing(|inbox| inbox.bound.port() == bound.port());
        let buffer = |len: usize| {
            let datagrams = (len / PER_DATAGRAM).max(DATAGRAMS_MIN);
            PacketBuffer::new(vec![PacketMetadata::EMPTY; datagrams], vec![0; len])
        };
        let mut socket = Udp::new(buffer(receive), buffer(send));
        options.apply_udp(&mut socket);
        if socket.bind(listen_endpoint(bound)).is_err() {
            self.udp_ports.release(bound);
            return Err(ErrorCode::Unknown);
        }
        let handle = self.sockets.add(socket);
        let signal = self.signal(Kind::Udp(handle));
        let inbox = Inbox {
            waker: Waker::from(signal.clone()),
            signal,
            bound,
            bytes,
            full: false,
            waits: None,
            closing: false,
        };
        self.buffers += bytes;
        self.udps.insert(handle, inbox);
        self.udp_changed(handle);
        Ok(handle)
    }

    pub(super) fn udp_changed(&mut self, handle: SocketHandle) {
        let Some(inbox) = self.udps.get_mut(&handle) else {
            return;
        };
        let socket = self.sockets.get_mut::<Udp>(handle);
        inbox.full = false;
        skim(inbox.bound, socket);
        socket.register_recv_waker(&inbox.waker);
        socket.register_send_waker(&inbox.waker);
    }

    /// Drops what waits for neighbours that do not answer.
    pub(super) fn unblock(&mut self, now: u64) {
        for (handle, inbox) in &mut self.udps {
            let socket = self.sockets.get_mut::<Udp>(*handle);
            let queue = socket.send_queue();
            inbox.waits = match inbox.waits {
                _ if queue == 0 => None,
                Some((before, since)) if before == queue => Some((queue, since)),
                _ => Some((queue, now)),
            };
            let since = inbox.waits.map_or(now, |(_, since)| since);
            if now.saturating_sub(since) >= UNANSWERED {
                inbox.waits = None;
                // The only way to empty its queue; what came in goes with it.
                socket.close();
                let _ = socket.bind(listen_endpoint(inbox.bound));
                inbox.full = false;
                self.wake.push(inbox.signal.clone());
            }
        }
        self.remove_closing(|_| false);
    }

    /// Nobody has it any more: what was sent goes first, if that can be soon.
    fn drop_udp(&mut self, handle: SocketHandle) {
        let Some(inbox) = self.udps.get_mut(&handle) else {
            return;
        };
        inbox.closing = true;
        self.udp_ports.release(inbox.bound);
        self.remove_closing(|_| false);
        self.drive = true;
    }

    /// Removes those that were dropped and have sent all, or that `also` says.
    fn remove_closing(&mut self, also: impl Fn(&Inbox) -> bool) {
        let sockets = &self.sockets;
        let done = |(handle, inbox): &(&SocketHandle, &Inbox)| {
            let sent = || sockets.get::<Udp>(**handle).send_queue() == 0;
            inbox.closing && (also(inbox) || sent())
        };
        let done: vec::Vec<_> = self
            .udps
            .iter()
            .filter(done)
            .map(|(handle, _)| *handle)
            .collect();
        for handle in done {
            if let Some(inbox) = self.udps.remove(&handle) {
                self.sockets.remove(handle);
                self.buffers -= inbox.bytes;
                self.released = true;
            }
        }
    }
}

fn listen_endpoint(bound: SocketAddr) -> IpListenEndpoint {
    let at = endpoint(bound);
    IpListenEndpoint {
        addr: Some(at.addr).filter(|addr| !addr.is_unspecified()),
        port: at.port,
    }
}

/// Passes over what came first and is not of the family of `bound`: smoltcp's sockets for
/// every address are for both.
fn skim(bound: SocketAddr, socket: &mut Udp<'_>) {
    while let Ok((_, from)) = socket.peek() {
        if IpAddr::from(from.endpoint.addr).is_ipv4() == bound.is_ipv4() {
            break;
        }
        let _ = socket.recv();
    }
}

/// A UDP socket.
pub(super) struct Datagrams {
    shared: Arc<Shared>,
    family: IpAddressFamily,
    state: Mutex<State>,
}

struct State {
    options: Options,
    bound: Option<(SocketHandle, SocketAddr)>,
    peer: Option<SocketAddr>,
}

impl Datagrams {
    pub(super) fn new(shared: &Arc<Shared>, family: IpAddressFamily) -> Result<Self, ErrorCode> {
        let options = shared.with(|stack| {
            stack.take()?;
            Ok::<_, ErrorCode>(Options::new(&stack.limits))
        })?;
        Ok(Self {
            shared: shared.clone(),
            family,
            state: Mutex::new(State {
                options,
                bound: None,
                peer: None,
            }),
        })
    }

    fn bind(&self, local: SocketAddr) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        if state.bound.is_some() {
            return Err(ErrorCode::InvalidState);
        }
        let bound = self.shared.with(|stack| {
            // The one that is made takes the place of this one.
            stack.put();
            let handle = stack.bind_udp(local, &state.options);
            if handle.is_err() {
                stack.objects += 1;
            }
            let handle = handle?;
            let at = stack.udps.get(&handle).ok_or(ErrorCode::Unknown)?.bound;
            Ok::<_, ErrorCode>((handle, at))
        })?;
        state.bound = Some(bound);
        Ok(())
    }

    fn handle(&self) -> Result<SocketHandle, ErrorCode> {
        let bound = self.state.lock().bound;
        bound
            .map(|(handle, _)| handle)
            .ok_or(ErrorCode::InvalidState)
    }

    /// Gives `f` the socket; while it answers `Pending`, the waker of `cx` is kept.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Inbox, &mut Udp<'static>) -> Poll<T>,
    ) -> Poll<Result<T, ErrorCode>> {
        let handle = self.handle()?;
        self.shared.with(|stack| {
            let Some(inbox) = stack.udps.get_mut(&handle) else {
                return Poll::Ready(Err(ErrorCode::InvalidState));
            };
            let socket = stack.sockets.get_mut::<Udp>(handle);
            let poll = f(inbox, socket);
            if poll.is_pending() {
                // Under the lock, so that no change comes between.
                inbox.signal.changed.register(cx.waker());
            }
            poll.map(Ok)
        })
    }

    /// The address that what goes to `remote` comes from.
    fn source(&self, remote: IpAddr) -> Result<IpAddr, ErrorCode> {
        let bound = self.state.lock().bound.ok_or(ErrorCode::InvalidState)?.1;
        let out = match remote {
            IpAddr::V4(ip) => ip.is_broadcast() || ip.is_multicast(),
            IpAddr::V6(ip) => ip.is_multicast(),
        };
        let source = self.shared.with(|stack| match out {
            true => stack.addresses.of(self.family),
            false => stack.source(remote),
        });
        let source = source.ok_or(ErrorCode::RemoteUnreachable)?;
        match bound.ip() {
            ip if ip.is_unspecified() => Ok(source),
            ip if ip.is_loopback() && !source.is_loopback() => Err(ErrorCode::RemoteUnreachable),
            ip => Ok(ip),
        }
    }
}

impl Socket for Datagrams {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        let (bound, peer) = {
            let state = self.state.lock();
            (state.bound.ok_or(ErrorCode::InvalidState)?.1, state.peer)
        };
        let Some(peer) = peer else {
            return Ok(bound);
        };
        let source = self.source(peer.ip());
        Ok(SocketAddr::new(source.unwrap_or(bound.ip()), bound.port()))
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.state.lock().options.get(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        let buffers = (state.options.receive, state.options.send);
        state.options.set(option, value)?;
        if let Some((handle, _)) = state.bound {
            // They are what they were made.
            (state.options.receive, state.options.send) = buffers;
            self.shared
                .with(|stack| state.options.apply_udp(stack.sockets.get_mut(handle)));
        }
        Ok(())
    }
}

impl UdpSocket for Datagrams {
    fn poll_bind(&self, _: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(self.bind(local))
    }

    fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        self.source(remote.ip())?;
        self.state.lock().peer = Some(SocketAddr::new(remote.ip(), remote.port()));
        Ok(())
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        self.state.lock().peer = None;
        Ok(())
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, |inbox, _| match inbox.full {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .map(drop)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        let source = self.source(remote.ip())?;
        let headers = match self.family {
            IpAddressFamily::Ipv4 => 20 + UDP_HEADER,
            IpAddressFamily::Ipv6 => 40 + UDP_HEADER,
        };
        let most = self.shared.ip_mtu.saturating_sub(headers);
        if bytes.len() > most {
            return Poll::Ready(Err(ErrorCode::DatagramTooLarge));
        }
        let sent = self.poll(cx, |inbox, socket| {
            let mut to = smoltcp::socket::udp::UdpMetadata::from(endpoint(remote));
            to.local_address = Some(source.into());
            match socket.send_slice(bytes, to) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(SendError::BufferFull) => {
                    inbox.full = true;
                    Poll::Pending
                }
                Err(SendError::Unaddressable) => Poll::Ready(Err(ErrorCode::RemoteUnreachable)),
            }
        });
        self.shared.with(|stack| stack.drive = true);
        sent.map(|sent| sent?)
    }

    fn poll_receive_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, |inbox, socket| {
            skim(inbox.bound, socket);
            match socket.can_recv() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .map(drop)
    }

    fn poll_receive_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        self.poll(cx, |inbox, socket| {
            skim(inbox.bound, socket);
            let Ok((bytes, from)) = socket.recv() else {
                return Poll::Pending;
            };
            let n = bytes.len().min(buf.len());
            buf[..n].copy_from_slice(&bytes[..n]);
            Poll::Ready((n, super::conn::socket_addr(from.endpoint)))
        })
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        let bound = self.state.lock().bound.take();
        self.shared.with(|stack| match bound {
            Some((handle, _)) => stack.drop_udp(handle),
            None => stack.put(),
        });
    }
}
