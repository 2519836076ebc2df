//! `wasi:sockets`.

pub mod network;
pub mod tcp;
pub mod udp;

use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;

pub const FAMILIES: [IpAddressFamily; 2] = [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6];

/// Whether the network has IPv6: a machine may have none.
pub fn has(family: IpAddressFamily) -> bool {
    family == IpAddressFamily::Ipv4 || std::env::var("NO_IPV6").is_err()
}

pub fn v4(address: [u8; 4], port: u16) -> IpSocketAddress {
    let [a, b, c, d] = address;
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (a, b, c, d),
    })
}

pub fn v6(address: [u16; 8], port: u16) -> IpSocketAddress {
    let [a, b, c, d, e, f, g, h] = address;
    IpSocketAddress::Ipv6(Ipv6SocketAddress {
        port,
        flow_info: 0,
        address: (a, b, c, d, e, f, g, h),
        scope_id: 0,
    })
}

pub fn loopback(family: IpAddressFamily, port: u16) -> IpSocketAddress {
    match family {
        IpAddressFamily::Ipv4 => v4([127, 0, 0, 1], port),
        IpAddressFamily::Ipv6 => v6([0, 0, 0, 0, 0, 0, 0, 1], port),
    }
}

pub fn unspecified(family: IpAddressFamily, port: u16) -> IpSocketAddress {
    match family {
        IpAddressFamily::Ipv4 => v4([0; 4], port),
        IpAddressFamily::Ipv6 => v6([0; 8], port),
    }
}

pub fn other(family: IpAddressFamily) -> IpAddressFamily {
    match family {
        IpAddressFamily::Ipv4 => IpAddressFamily::Ipv6,
        IpAddressFamily::Ipv6 => IpAddressFamily::Ipv4,
    }
}

pub fn port(address: &IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

/// Calls `finish` until it has an answer, and waits with `subscribe` meanwhile.
pub fn wait<T>(
    subscribe: impl Fn() -> Pollable,
    finish: impl Fn() -> Result<T, ErrorCode>,
) -> Result<T, ErrorCode> {
    loop {
        match finish() {
            Err(ErrorCode::WouldBlock) => subscribe().block(),
            result => return result,
        }
    }
}

pub fn bind(socket: &TcpSocket, address: IpSocketAddress) -> Result<(), ErrorCode> {
    socket.start_bind(&instance_network(), address)?;
    wait(|| socket.subscribe(), || socket.finish_bind())
}

pub fn listen(socket: &TcpSocket) -> Result<(), ErrorCode> {
    socket.start_listen()?;
    wait(|| socket.subscribe(), || socket.finish_listen())
}

pub fn connect(
    socket: &TcpSocket,
    address: IpSocketAddress,
) -> Result<(InputStream, OutputStream), ErrorCode> {
    socket.start_connect(&instance_network(), address)?;
    wait(|| socket.subscribe(), || socket.finish_connect())
}

pub fn accept(socket: &TcpSocket) -> Result<(TcpSocket, InputStream, OutputStream), ErrorCode> {
    wait(|| socket.subscribe(), || socket.accept())
}

pub fn listener(family: IpAddressFamily) -> TcpSocket {
    let socket = create_tcp_socket(family).expect("a socket");
    bind(&socket, loopback(family, 0)).expect("to bind");
    listen(&socket).expect("to listen");
    socket
}

/// One end of a connection. The streams are dropped before the socket.
pub struct End {
    pub input: InputStream,
    pub output: OutputStream,
    pub socket: TcpSocket,
}

/// Both ends of a connection: who connected, and who accepted.
pub fn pair() -> (End, End) {
    let listener = listener(IpAddressFamily::Ipv4);
    let client = create_tcp_socket(IpAddressFamily::Ipv4).expect("a socket");
    let address = listener.local_address().expect("an address");
    let (input, output) = connect(&client, address).expect("to connect");
    let here = End {
        input,
        output,
        socket: client,
    };
    let (socket, input, output) = accept(&listener).expect("to accept");
    let there = End {
        input,
        output,
        socket,
    };
    (here, there)
}
