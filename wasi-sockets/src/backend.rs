//! The traits an operating system implements.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll, ready};
use wasi_clocks::Duration;
use wasi_error::sockets::ErrorCode;

/// `wasi:sockets/network.ip-address-family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpAddressFamily {
    /// AF_INET.
    Ipv4,
    /// AF_INET6, without IPv4-mapped addresses (IPV6_V6ONLY).
    Ipv6,
}

/// The directions that [`TcpStream::shutdown`] closes (`wasi:sockets/tcp.shutdown-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// No more bytes come in (SHUT_RD).
    Receive,
    /// No more bytes go out (SHUT_WR).
    Send,
    /// Both.
    Both,
}

/// A setting of a socket: the key of [`Socket::option`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SocketOption {
    /// 1 while idle connections are probed, else 0 (SO_KEEPALIVE).
    KeepAliveEnabled,
    /// Nanoseconds without traffic before the first probe, at least 1 (TCP_KEEPIDLE).
    KeepAliveIdleTime,
    /// Nanoseconds between probes, at least 1 (TCP_KEEPINTVL).
    KeepAliveInterval,
    /// Probes without an answer that end a connection, 1 to 2^32 - 1 (TCP_KEEPCNT).
    KeepAliveCount,
    /// Hops that a packet may make, 1 to 255 (IP_TTL, IPV6_UNICAST_HOPS).
    HopLimit,
    /// Bytes of the system's receive buffer, at least 1 (SO_RCVBUF).
    ReceiveBufferSize,
    /// Bytes of the system's send buffer, at least 1 (SO_SNDBUF).
    SendBufferSize,
}

/// A network: what a guest that holds a `network` handle can reach. Shared by any number of
/// guests. The defaults refuse everything with [`ErrorCode::NotSupported`].
///
/// A wrapper that decides who may do what implements this trait, [`TcpSocket`] and
/// [`UdpSocket`], and passes on what it permits; TCP connections themselves need no wrapper.
pub trait Network: Send + Sync + 'static {
    /// A new TCP socket, neither bound nor connected. Does not wait, and nothing leaves the
    /// machine yet.
    ///
    /// # Errors
    /// - [`ErrorCode::NotSupported`]: the network has no TCP, or not for `family`.
    /// - [`ErrorCode::NewSocketLimit`]: the system has no more.
    /// - [`ErrorCode::AccessDenied`]: no TCP is granted.
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        let _ = family;
        Err(ErrorCode::NotSupported)
    }

    /// A new UDP socket, not bound. Does not wait, and nothing leaves the machine yet.
    ///
    /// # Errors
    /// - [`ErrorCode::NotSupported`]: the network has no UDP, or not for `family`.
    /// - [`ErrorCode::NewSocketLimit`]: the system has no more.
    /// - [`ErrorCode::AccessDenied`]: no UDP is granted.
    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        let _ = family;
        Err(ErrorCode::NotSupported)
    }

    /// Begins to look up the addresses of `name`: a host name in lower-case ASCII (labels of
    /// 1 to 63 letters, digits, `-` and `_`; at most 253 bytes without a final dot), never an
    /// address. Does not wait. The policy for names belongs here.
    ///
    /// # Errors
    /// - [`ErrorCode::NotSupported`]: the network has no names.
    /// - [`ErrorCode::AccessDenied`]: the name is not granted.
    /// - [`ErrorCode::TemporaryResolverFailure`]: too many lookups run.
    fn lookup(&self, name: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        let _ = name;
        Err(ErrorCode::NotSupported)
    }
}

/// A name lookup under way. Dropping it gives it up.
pub trait Lookup: Send + 'static {
    /// The addresses of the name, the most promising first; called until it is ready, then no
    /// more. Pending, it keeps the waker of `cx`, of any number of tasks. IPv4-mapped
    /// addresses and repetitions are taken out by the caller.
    ///
    /// # Errors
    /// - [`ErrorCode::NameUnresolvable`]: the name does not exist or has no address.
    /// - [`ErrorCode::TemporaryResolverFailure`]: it may be found later.
    /// - [`ErrorCode::PermanentResolverFailure`]: the resolver failed for good.
    fn poll_addresses(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>>;

    /// How long the answer holds from now on, in nanoseconds: the least time to live of its
    /// records. `None`, as the default has it: the resolver does not say. Asked after
    /// [`Lookup::poll_addresses`] was ready.
    fn lifetime(&self) -> Option<Duration> {
        None
    }
}

/// What sockets have in common, in each of their states. Arguments are checked before.
pub trait Socket: Send + Sync + 'static {
    /// The address that the socket is bound to; port 0 or [`ErrorCode::InvalidState`] while
    /// it has none.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: it is not bound.
    fn local_address(&self) -> Result<SocketAddr, ErrorCode>;

    /// The value of `option`, in the unit that [`SocketOption`] names.
    ///
    /// # Errors
    /// - [`ErrorCode::NotSupported`], as the default does: there is no such setting.
    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        let _ = option;
        Err(ErrorCode::NotSupported)
    }

    /// Sets `option` to `value`, which is in the range that [`SocketOption`] names. What the
    /// socket can't have is rounded and clamped to what it can, not refused.
    ///
    /// # Errors
    /// As [`Socket::option`].
    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        let _ = (option, value);
        Err(ErrorCode::NotSupported)
    }
}

/// A TCP socket that is not connected and does not listen. Dropping it releases its address.
///
/// The three operations are called one at a time and in the order that the WIT text allows.
/// Each may wait (for a permission, say): it is then called again, with the same arguments,
/// until it is ready. Pending, it keeps the waker of `cx`, of any number of tasks.
pub trait TcpSocket: Socket {
    /// Binds to `local`, a unicast or unspecified address of the socket's family; to any free
    /// port where the port is 0. Connections of the past that linger on the address
    /// (TIME_WAIT) are no obstacle.
    ///
    /// # Errors
    /// After each of them the socket can be bound again.
    /// - [`ErrorCode::AddressInUse`]: the address, or each free port, is taken.
    /// - [`ErrorCode::AddressNotBindable`]: `local` is none of this network's addresses.
    /// - [`ErrorCode::AccessDenied`]: it is not granted.
    fn poll_bind(&mut self, cx: &mut Context<'_>, local: SocketAddr)
    -> Poll<Result<(), ErrorCode>>;

    /// Listens, with room for about `backlog` connections that nobody accepted yet. The
    /// listener takes over what the socket holds: its address and its settings. The socket is
    /// dropped after.
    ///
    /// # Errors
    /// - [`ErrorCode::AddressInUse`]: another socket listens there.
    /// - [`ErrorCode::AccessDenied`]: it is not granted.
    fn poll_listen(
        &mut self,
        cx: &mut Context<'_>,
        backlog: u32,
    ) -> Poll<Result<Arc<dyn TcpListener>, ErrorCode>>;

    /// Connects to `remote`, a unicast address of the socket's family with a port, from the
    /// address that the socket is bound to, or else from any. The stream takes over what the
    /// socket holds. The socket is dropped after, whatever the result.
    ///
    /// # Errors
    /// - [`ErrorCode::Timeout`], [`ErrorCode::ConnectionRefused`],
    ///   [`ErrorCode::ConnectionReset`], [`ErrorCode::ConnectionAborted`],
    ///   [`ErrorCode::RemoteUnreachable`]: the peer or the way to it.
    /// - [`ErrorCode::AddressInUse`]: no port was free to connect from.
    /// - [`ErrorCode::AccessDenied`]: it is not granted.
    fn poll_connect(
        &mut self,
        cx: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>>;
}

/// A listening TCP socket. Dropping it releases its address and resets the connections that
/// nobody accepted.
pub trait TcpListener: Socket {
    /// The next connection, which has the listener's settings, each [`SocketOption`].
    /// Pending, it keeps the waker of `cx`, of any number of tasks.
    ///
    /// # Errors
    /// After each of them the next connection can be asked for.
    /// - [`ErrorCode::ConnectionAborted`]: it ended before it was accepted.
    /// - [`ErrorCode::NewSocketLimit`], [`ErrorCode::OutOfMemory`]: the system has no more
    ///   sockets. It does not answer so again at once: the next call waits for some time.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>>;

    /// Changes the backlog of [`TcpSocket::poll_listen`], at least 1.
    ///
    /// # Errors
    /// - [`ErrorCode::NotSupported`], as the default does: it can't be changed any more.
    fn set_backlog(&self, backlog: u32) -> Result<(), ErrorCode> {
        let _ = backlog;
        Err(ErrorCode::NotSupported)
    }
}

/// A TCP connection, shared by its socket, its input and its output. One task reads and one
/// writes at a time, at the same time; any number wait for either, each with a waker of its
/// own, and all of them are woken.
///
/// Dropping it closes the connection and releases what it holds at once, except that bytes
/// which were taken and not sent yet get some bounded time to leave. Bytes that came in and
/// were not read may then reset the connection, as TCP has it.
pub trait TcpStream: Socket {
    /// The address of the peer.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the connection has ended.
    fn remote_address(&self) -> Result<SocketAddr, ErrorCode>;

    /// Ready when [`TcpStream::poll_read`] would be.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Reads what is there now, up to `buf.len()` bytes (at least 1), and says how many; 0 is
    /// the end: the peer, or [`Shutdown::Receive`] here, closed this direction.
    ///
    /// Pending, it has taken no byte and keeps the waker of `cx`; the next call may bring
    /// another buffer.
    ///
    /// # Errors
    /// - [`ErrorCode::ConnectionReset`]: the peer reset the connection.
    /// - [`ErrorCode::Timeout`], [`ErrorCode::RemoteUnreachable`],
    ///   [`ErrorCode::ConnectionAborted`]: the connection was lost otherwise.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, ErrorCode>>;

    /// As [`TcpStream::poll_read`], into a buffer of the backend's making; empty is the end.
    /// The default reads into a new buffer of `max` bytes once the stream is ready.
    fn poll_read_bytes(&self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, ErrorCode>> {
        ready!(self.poll_read_ready(cx));
        let mut buf = alloc::vec![0; max];
        self.poll_read(cx, &mut buf).map_ok(|n| {
            buf.truncate(n);
            buf.into()
        })
    }

    /// How many bytes [`TcpStream::write`] takes now, at least 1. Pending while it takes none;
    /// it then keeps the waker of `cx`.
    ///
    /// # Errors
    /// - those of [`TcpStream::poll_read`]: the connection was lost, perhaps with bytes that
    ///   [`TcpStream::write`] took.
    /// - [`ErrorCode::ConnectionBroken`]: nobody takes more bytes at the other end.
    /// - [`ErrorCode::InvalidState`]: [`Shutdown::Send`] was asked for.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>>;

    /// Takes all of `bytes`. The caller was permitted to: the writes since the last
    /// [`TcpStream::poll_write_ready`] are together no longer than what it gave.
    ///
    /// What the network does not take at once the backend keeps (no more than it permitted)
    /// and sends on by itself: no further call is needed for it, so that a peer gets all
    /// bytes of a guest that waits for the answer only.
    ///
    /// # Errors
    /// As [`TcpStream::poll_write_ready`].
    fn write(&self, bytes: &[u8]) -> Result<(), ErrorCode>;

    /// Takes some of `bytes` (which are not empty) and says how many, at least 1. Pending, it
    /// has taken none and keeps the waker of `cx`; the next call may bring other bytes.
    ///
    /// The default waits for [`TcpStream::poll_write_ready`] and writes within what that
    /// permits. A network that can take a part of `bytes` has no need to keep any here.
    ///
    /// # Errors
    /// As [`TcpStream::poll_write_ready`].
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        let n = ready!(self.poll_write_ready(cx))?.min(bytes.len());
        self.write(&bytes[..n])?;
        Poll::Ready(Ok(n))
    }

    /// Closes one or both directions and wakes who waits on them. Going out, the end comes
    /// after the bytes that [`TcpStream::write`] took. Called once a direction.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the connection has ended.
    fn shutdown(&self, how: Shutdown) -> Result<(), ErrorCode>;
}

/// The longest datagram in bytes, a UDP header included: what the length field of one can say.
pub const DATAGRAM_MAX: usize = 65_535;

/// A UDP socket, shared by the guest's socket and its streams. Dropping it releases its
/// address.
///
/// First [`UdpSocket::poll_bind`] is called until it succeeds; the rest only after that, and
/// from then on by one task that sends and one that receives, at the same time. Any number of
/// tasks wait for either, each with a waker of its own, and all of them are woken.
///
/// A datagram goes whole or not at all, and may be lost on its way without anybody being told.
/// An answer of the network to an earlier datagram, such as
/// [`ErrorCode::ConnectionRefused`], is reported once, by the next call that sends or
/// receives, at least where the socket is connected. The socket goes on working.
pub trait UdpSocket: Socket {
    /// Binds to `local`, an address of the socket's family (IPv6 without IPv4-mapped ones); to
    /// any free port where the port is 0.
    ///
    /// It may wait (for a permission, say): it is then called again, with the same address,
    /// until it is ready. Pending, it keeps the waker of `cx`, of any number of tasks.
    ///
    /// # Errors
    /// After each of them the socket can be bound again.
    /// - [`ErrorCode::AddressInUse`]: the address, or each free port, is taken.
    /// - [`ErrorCode::AddressNotBindable`]: `local` is none of this network's addresses.
    /// - [`ErrorCode::AccessDenied`]: it is not granted.
    fn poll_bind(&self, cx: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>>;

    /// Limits the socket to the peer `remote`, an address of its family with a port, and
    /// neither unspecified nor IPv4-mapped. Called while it is not connected.
    ///
    /// From then on all that is sent goes to `remote`, and the local address may be the one
    /// from which that can be reached. What comes from others need not be held back: the
    /// caller drops it, also because it may have come before. Nothing leaves the machine, so
    /// this never waits: a wrapper that has yet to ask whether `remote` is granted asks at
    /// [`UdpSocket::poll_send_to`].
    ///
    /// # Errors
    /// After each of them it is not connected.
    /// - [`ErrorCode::RemoteUnreachable`]: there is no way to `remote`.
    /// - [`ErrorCode::AccessDenied`]: it is not granted.
    fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode>;

    /// Ends what [`UdpSocket::connect`] began: any peer again, from the address that it was
    /// bound to. Called while it is connected.
    ///
    /// # Errors
    /// - [`ErrorCode::AddressInUse`]: the system gave the address up and can't have it back.
    ///   The socket sends and receives no more.
    fn disconnect(&self) -> Result<(), ErrorCode>;

    /// Ready when [`UdpSocket::poll_send_to`] is worth a call, be it for an error. After that
    /// was pending, this is until what it waits for has come: room, or a permission. Pending,
    /// it keeps the waker of `cx`.
    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Sends `bytes`, at most [`DATAGRAM_MAX`], as one datagram to `remote`, which is as in
    /// [`UdpSocket::connect`] and the peer where there is one. A wrapper judges each
    /// destination here.
    ///
    /// Pending, it has sent nothing and keeps the waker of `cx`; the next call may bring
    /// another datagram, and for another destination.
    ///
    /// # Errors
    /// Nothing of `bytes` was sent.
    /// - [`ErrorCode::DatagramTooLarge`]: it is longer than the network carries.
    /// - [`ErrorCode::RemoteUnreachable`]: there is no way to `remote`, or an earlier datagram
    ///   found none.
    /// - [`ErrorCode::ConnectionRefused`]: nobody received an earlier datagram.
    /// - [`ErrorCode::AccessDenied`]: `remote` is not granted.
    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>>;

    /// Ready when [`UdpSocket::poll_receive_from`] would be, be it for an error. Pending, it
    /// keeps the waker of `cx`.
    fn poll_receive_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Receives one datagram into `buf` and says its length, 0 and up, and who sent it. What
    /// does not fit is lost: the caller brings [`DATAGRAM_MAX`] bytes.
    ///
    /// Pending, it has taken none and keeps the waker of `cx`; the next call may bring another
    /// buffer.
    ///
    /// # Errors
    /// No datagram was taken.
    /// - [`ErrorCode::RemoteUnreachable`], [`ErrorCode::ConnectionRefused`]: as in
    ///   [`UdpSocket::poll_send_to`].
    fn poll_receive_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>>;
}

/// The network of a guest that was granted none: everything is
/// [`ErrorCode::AccessDenied`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Denied;

impl Network for Denied {
    fn tcp_socket(&self, _: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        Err(ErrorCode::AccessDenied)
    }

    fn udp_socket(&self, _: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        Err(ErrorCode::AccessDenied)
    }

    fn lookup(&self, _: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        Err(ErrorCode::AccessDenied)
    }
}
