//! A network in memory.

mod stream;

use crate::address::family;
use crate::{
    ErrorCode, IpAddressFamily, Lookup, Network, Socket, SocketOption, TcpListener, TcpSocket,
    TcpStream,
};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::{Context, Poll};
use stream::{LoopbackStream, connect};
use wasi_io::WakerSet;
use wasi_io::sync::Mutex;

/// A network in memory, without an operating system: what binds to an address of it can be
/// reached by who has it too. Clones are the same network.
///
/// Its addresses are 127.0.0.0/8, `::1` and those of [`LoopbackNet::with_address`]; its names
/// are those of [`LoopbackNet::with_name`]. Settings are kept and mean nothing, except that
/// [`SocketOption::SendBufferSize`] bounds the bytes under way.
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
    ports: Ports,
}

type Ports = Arc<Mutex<BTreeMap<SocketAddr, Weak<Listener>>>>;

/// What `bind` to port 0 chooses from, in order.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;

impl LoopbackNet {
    /// Without names.
    pub fn new() -> Self {
        Self(Arc::new(Net {
            addresses: Vec::new(),
            names: BTreeMap::new(),
            ports: Ports::default(),
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
            ports: Ports::default(),
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
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        Ok(Box::new(LoopbackSocket {
            net: self.0.clone(),
            family,
            port: None,
            options: Options::new(),
            waits_for: None,
        }))
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

/// An address that is taken, until this is dropped.
struct Port {
    address: SocketAddr,
    ports: Ports,
}

impl Port {
    fn bind(ports: &Ports, local: SocketAddr) -> Result<Self, ErrorCode> {
        let mut taken = ports.lock();
        let in_the_way = |other: &SocketAddr| {
            family(other) == family(&local)
                && (other.ip() == local.ip()
                    || other.ip().is_unspecified()
                    || local.ip().is_unspecified())
        };
        let others = taken.keys().filter(|other| in_the_way(other));
        let used: BTreeSet<u16> = others.map(SocketAddr::port).collect();
        let port = match local.port() {
            0 => EPHEMERAL.into_iter().find(|port| !used.contains(port)),
            port => Some(port).filter(|port| !used.contains(port)),
        };
        let address = SocketAddr::new(local.ip(), port.ok_or(ErrorCode::AddressInUse)?);
        taken.insert(address, Weak::new());
        drop(taken);
        Ok(Self {
            address,
            ports: ports.clone(),
        })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.ports.lock().remove(&self.address);
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

struct LoopbackSocket {
    net: Arc<Net>,
    family: IpAddressFamily,
    port: Option<Port>,
    options: Options,
    /// A connect that found the listener's backlog full.
    waits_for: Option<Weak<Listener>>,
}

impl Socket for LoopbackSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        let port = self.port.as_ref().ok_or(ErrorCode::InvalidState)?;
        Ok(port.address)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.options.get(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.options.set(option, value);
        Ok(())
    }
}

impl LoopbackSocket {
    fn bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        if !self.net.has(local.ip()) && !local.ip().is_unspecified() {
            return Err(ErrorCode::AddressNotBindable);
        }
        self.port = Some(Port::bind(&self.net.ports, local)?);
        Ok(())
    }

    fn listen(&mut self, backlog: u32) -> Result<Arc<dyn TcpListener>, ErrorCode> {
        let port = self.port.take().ok_or(ErrorCode::InvalidState)?;
        let (address, ports) = (port.address, port.ports.clone());
        let listener = Arc::new(Listener {
            port,
            options: self.options.clone(),
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                backlog: backlog as usize,
            }),
            changed: WakerSet::new(),
        });
        ports.lock().insert(address, Arc::downgrade(&listener));
        Ok(listener)
    }

    /// The listener at `remote`.
    fn find(&self, remote: SocketAddr) -> Result<Arc<Listener>, ErrorCode> {
        if !self.net.has(remote.ip()) {
            return Err(ErrorCode::RemoteUnreachable);
        }
        let any = match self.family {
            IpAddressFamily::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddressFamily::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let ports = self.net.ports.lock();
        [remote.ip(), any]
            .into_iter()
            .filter_map(|ip| ports.get(&SocketAddr::new(ip, remote.port())))
            .find_map(Weak::upgrade)
            .ok_or(ErrorCode::ConnectionRefused)
    }
}

impl TcpSocket for LoopbackSocket {
    fn poll_bind(&mut self, _: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(self.bind(local))
    }

    fn poll_listen(
        &mut self,
        _: &mut Context<'_>,
        backlog: u32,
    ) -> Poll<Result<Arc<dyn TcpListener>, ErrorCode>> {
        Poll::Ready(self.listen(backlog))
    }

    fn poll_connect(
        &mut self,
        cx: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        let listener = match &self.waits_for {
            None => self.find(remote)?,
            Some(listener) => listener.upgrade().ok_or(ErrorCode::ConnectionRefused)?,
        };
        if self.port.is_none() {
            let from = SocketAddr::new(remote.ip(), 0);
            self.port = Some(Port::bind(&self.net.ports, from)?);
        }
        let mut queue = listener.queue.lock();
        if queue.waiting.len() >= queue.backlog {
            // Under the lock, so that no accept comes between.
            listener.changed.register(cx.waker());
            drop(queue);
            self.waits_for = Some(Arc::downgrade(&listener));
            return Poll::Pending;
        }
        let Some(port) = self.port.take() else {
            return Poll::Ready(Err(ErrorCode::InvalidState));
        };
        let (here, there) = connect(port, remote, self.options.clone(), listener.options.clone());
        queue.waiting.push_back(there);
        drop(queue);
        listener.changed.wake_all();
        Poll::Ready(Ok(Arc::new(here)))
    }
}

struct Listener {
    port: Port,
    options: Options,
    queue: Mutex<Queue>,
    changed: WakerSet,
}

struct Queue {
    waiting: VecDeque<LoopbackStream>,
    backlog: usize,
}

impl Socket for Listener {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok(self.port.address)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.options.get(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.options.set(option, value);
        Ok(())
    }
}

impl TcpListener for Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        let next = {
            let mut queue = self.queue.lock();
            let next = queue.waiting.pop_front();
            if next.is_none() {
                // Under the lock, so that no connection comes between.
                self.changed.register(cx.waker());
            }
            next
        };
        match next {
            Some(stream) => {
                self.changed.wake_all();
                Poll::Ready(Ok(Arc::new(stream)))
            }
            None => Poll::Pending,
        }
    }

    fn set_backlog(&self, backlog: u32) -> Result<(), ErrorCode> {
        self.queue.lock().backlog = backlog as usize;
        self.changed.wake_all();
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for stream in self.queue.lock().waiting.drain(..) {
            stream.reset();
        }
        self.changed.wake_all();
    }
}
