//! From a peer's name to an open connection.

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::deadline::{Expired, wait};
use crate::exchange::Sockets;
use ai_agent::relay::{Deadline, Failure, MAX_ADDRESSES, Network};
use std::net::{IpAddr, SocketAddr};

/// WASI's network, whose functions block.
pub struct Wasi;

impl Network for Wasi {
    type Connection = Connection;
    type Exchange = Sockets;

    fn now() -> u64 {
        monotonic_clock::now()
    }

    async fn resolve(host: &str, deadline: Deadline) -> Result<Vec<IpAddr>, Failure> {
        lookup(host, deadline).map_err(failure)
    }

    async fn connect(address: SocketAddr, deadline: Deadline) -> Result<Connection, Failure> {
        connect(address, deadline).map_err(failure)
    }

    fn exchange(connection: Connection, message: &[u8], half_close: bool) -> Sockets {
        Sockets::new(connection, message, half_close)
    }
}

fn failure(code: ErrorCode) -> Failure {
    match code {
        ErrorCode::Timeout => Failure::Timeout,
        code => Failure::Other(code.name().into()),
    }
}

/// Errors: `timeout` where the deadline passed.
fn lookup(host: &str, deadline: Deadline) -> Result<Vec<IpAddr>, ErrorCode> {
    let stream = resolve_addresses(&instance_network(), host)?;
    let ready = stream.subscribe();
    let mut list = Vec::new();
    while list.len() < MAX_ADDRESSES {
        match stream.resolve_next_address() {
            Ok(Some(address)) => list.push(from_wit(address)),
            Ok(None) => break,
            Err(ErrorCode::WouldBlock) => {
                wait(deadline, &[&ready]).map_err(|Expired| ErrorCode::Timeout)?
            }
            Err(code) => return Err(code),
        }
    }
    Ok(list)
}

/// An open connection. The streams are the socket's children, so they go first.
pub struct Connection {
    pub input: InputStream,
    pub output: OutputStream,
    pub socket: TcpSocket,
}

/// Errors: `timeout` where the deadline passed or the connect timed out by itself.
fn connect(address: SocketAddr, deadline: Deadline) -> Result<Connection, ErrorCode> {
    let socket = create_tcp_socket(match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    })?;
    socket.start_connect(&instance_network(), to_wit(address))?;
    let ready = socket.subscribe();
    loop {
        match socket.finish_connect() {
            Ok((input, output)) => {
                drop(ready);
                return Ok(Connection {
                    input,
                    output,
                    socket,
                });
            }
            Err(ErrorCode::WouldBlock) => {
                wait(deadline, &[&ready]).map_err(|Expired| ErrorCode::Timeout)?
            }
            Err(code) => return Err(code),
        }
    }
}

fn from_wit(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::from([a, b, c, d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => IpAddr::from([a, b, c, d, e, f, g, h]),
    }
}

fn to_wit(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(address) => {
            let [a, b, c, d] = address.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: address.port(),
                address: (a, b, c, d),
            })
        }
        SocketAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: address.port(),
                flow_info: 0,
                address: (a, b, c, d, e, f, g, h),
                scope_id: 0,
            })
        }
    }
}
