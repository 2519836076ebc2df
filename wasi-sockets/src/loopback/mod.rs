//! A network in memory.

mod datagram;
mod ports;
mod stream;
mod tcp;

use crate::{ErrorCode, IpAddressFamily, Lookup, Network, SocketOption, TcpSocket, UdpSocket};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::task::{Context, Poll};
use datagram::{Inbox, LoopbackUdpSocket};
use ports::{Port, Ports};
use tcp::{Listener, LoopbackTcpSocket};
use wasi_io::sync::Mutex;

/// A network in memory, without an operating system: what binds to an address of it can be
/// reached by who has it too. Clones are the same network.
///
/// Its addresses are 127.0.0.0/8, `::1` and those of [`LoopbackNet::with_address`]; its names
/// are those of [`LoopbackNet::with_name`]. Settings are kept and mean nothing, except that
/// [`SocketOption::SendBufferSize`] bounds the bytes under way of a connection, and
/// [`SocketOption::ReceiveBufferSize`] the datagrams that wait for a UDP socket: more are lost.
///
/// ```
/// use std::sync::Arc;
/// use wasi_sockets::{DynTcpSocket, IpAddressFamily::Ipv4, LoopbackNet, WasiSocketsCtx};
/// use wasi_io::{InputStream, OutputStream};
///
/// let ctx = WasiSocketsCtx::new().network(Arc::new(LoopbackNet::new()));
/// let net = ctx.instance_network();
/// let mut server = DynTcpSocket::new(&ctx, Ipv4)?;
/// server.start_bind(&net, "127.0.0.1:80".parse().unwrap())?;
/// server.finish_bind()?;
/// server.start_listen()?;
/// server.finish_listen()?;
///
/// let mut client = DynTcpSocket::new(&ctx, Ipv4)?;
/// client.start_connect(&net, server.local_address()?)?;
/// let (_input, mut output) = client.finish_connect()?;
/// assert!(output.check_write().unwrap() >= 5);
/// output.write(b"hello").unwrap();
///
/// let (_socket, mut input, _output) = server.accept()?;
/// let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// let read = input.poll_read_bytes(&mut cx, 100);
/// assert!(matches!(read, std::task::Poll::Ready(Ok(bytes)) if bytes == "hello"));
/// # Ok::<(), wasi_sockets::ErrorCode>(())
/// ```
#[derive(Clone)]
pub struct LoopbackNet(Arc<Net>);

struct Net {
    addresses: Vec<IpAddr>,
    names: BTreeMap<String, Vec<IpAddr>>,
    tcp: Ports<Listener>,
    udp: Ports<Inbox>,
}

impl LoopbackNet {
    /// Without names.
    pub fn new() -> Self {
        Self(Arc::new(Net {
            addresses: Vec::new(),
            names: BTreeMap::new(),
            tcp: Ports::default(),
            udp: Ports::default(),
        }))
    }

    /// With `address` as one of its own. Call it before the network is shared.
    pub fn with_address(self, address: IpAddr) -> Self {
        self.with(|net| net.addresses.push(address))
    }

    /// With the host name `name`, in ASCII, for `addresses`. Call it before the network is
    /// shared.
    pub fn with_name(self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses = addresses.into_iter().collect();
        self.with(|net| {
            net.names.insert(name.to_ascii_lowercase(), addresses);
        })
    }

    fn with(self, change: impl FnOnce(&mut Net)) -> Self {
        // A network that is shared already goes on as it is; this one becomes another.
        let mut net = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Net {
            addresses: shared.addresses.clone(),
            names: shared.names.clone(),
            tcp: Ports::default(),
            udp: Ports::default(),
        });
        change(&mut net);
        Self(Arc::new(net))
    }
}

impl Default for LoopbackNet {
    fn default() -> Self {
        Self::new()
    }
}

impl Network for LoopbackNet {
    fn tcp_socket(&self, _: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        Ok(Box::new(LoopbackTcpSocket::new(self.0.clone())))
    }

    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        Ok(Box::new(LoopbackUdpSocket::new(self.0.clone(), family)))
    }

    fn lookup(&self, name: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        let found = self.0.names.get(name).cloned();
        Ok(Box::new(Found(found.ok_or(ErrorCode::NameUnresolvable))))
    }
}

struct Found(Result<Vec<IpAddr>, ErrorCode>);

impl Lookup for Found {
    fn poll_addresses(&mut self, _: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        Poll::Ready(self.0.clone())
    }
}

impl Net {
    fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }
}

/// Settings, read back as they were set.
#[derive(Debug)]
struct Options(Mutex<BTreeMap<SocketOption, u64>>);

impl Options {
    fn new() -> Self {
        Self(Mutex::new(BTreeMap::from([
            (SocketOption::KeepAliveEnabled, 0),
            (SocketOption::KeepAliveIdleTime, 7_200_000_000_000),
            (SocketOption::KeepAliveInterval, 75_000_000_000),
            (SocketOption::KeepAliveCount, 9),
            (SocketOption::HopLimit, 64),
            (SocketOption::ReceiveBufferSize, 64 << 10),
            (SocketOption::SendBufferSize, 64 << 10),
        ])))
    }

    fn get(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        let value = self.0.lock().get(&option).copied();
        value.ok_or(ErrorCode::NotSupported)
    }

    fn set(&self, option: SocketOption, value: u64) {
        // What is kept in memory has an end.
        let value = match option {
            SocketOption::ReceiveBufferSize | SocketOption::SendBufferSize => value.min(1 << 20),
            _ => value,
        };
        self.0.lock().insert(option, value);
    }
}

impl Clone for Options {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }
}
