//! The network of this machine: non-blocking sockets that wake through a
//! [`Runtime`], and the system's name resolver.

mod resolve;
mod socket;
mod stream;
mod tcp;
mod udp;

use crate::{ErrorCode, IpAddressFamily, Lookup, Network, TcpSocket, UdpSocket};
use alloc::boxed::Box;
use wasi_io::os::Runtime;

/// All that this machine can reach: a grant of everything. One of them serves any number of
/// guests; a wrapper that implements [`Network`] narrows it.
#[derive(Clone)]
pub struct OsNetwork {
    runtime: Runtime,
    resolver: resolve::Resolver,
}

impl OsNetwork {
    /// Waits on `runtime`, whose I/O and time drivers must be enabled and which must run. At
    /// most 16 names are looked up at once, on its threads for blocking work.
    pub fn new(runtime: Runtime) -> Self {
        Self {
            resolver: resolve::Resolver::new(runtime.clone()),
            runtime,
        }
    }

    /// Waits on [`Runtime::current`].
    pub fn current() -> Self {
        Self::new(Runtime::current())
    }
}

impl Network for OsNetwork {
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        Ok(Box::new(tcp::OsTcpSocket::new(&self.runtime, family)?))
    }

    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        Ok(Box::new(udp::OsUdpSocket::new(&self.runtime, family)?))
    }

    fn lookup(&self, name: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        Ok(Box::new(self.resolver.lookup(name)?))
    }
}
