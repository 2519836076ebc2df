//! From a peer's name to an open connection.

use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    Network,
};
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::deadline::{Deadline, Expired};
use crate::peer::Peer;
use crate::refusal::Refusal;
use crate::routes::DEFAULT_HOST;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where `example.com` was when this was written, for machines without a resolver.
const EXAMPLE_COM: [Ipv4Addr; 2] = [
    Ipv4Addr::new(104, 18, 26, 120),
    Ipv4Addr::new(104, 18, 27, 120),
];

/// More addresses than these of one name are not tried.
const MAX_ADDRESSES: usize = 16;

/// The addresses of a peer, in the order in which they are tried; never none.
pub struct Addresses {
    list: Vec<IpAddr>,
    /// Why these are not what the resolver said, where they are not.
    pub notice: Option<String>,
}

impl Addresses {
    /// Resolves the peer's host.
    ///
    /// Errors: 502 where the name has no addresses, 504 where the resolver does not
    /// answer before the deadline. `example.com` has none: it falls back.
    pub fn resolve(peer: &Peer, network: &Network, deadline: &Deadline) -> Result<Self, Refusal> {
        if let Some(address) = peer.literal() {
            let list = vec![address];
            return Ok(Self { list, notice: None });
        }
        let host = &peer.host;
        let falls_back = host
            .trim_end_matches('.')
            .eq_ignore_ascii_case(DEFAULT_HOST);
        // A silent resolver must leave the fallback some time to connect.
        let cause = match lookup(
            host,
            network,
            &deadline.part(if falls_back { 2 } else { 1 }),
        ) {
            Ok(list) => return Ok(Self { list, notice: None }),
            Err(cause) => cause,
        };
        match cause {
            _ if falls_back => Ok(Self {
                list: EXAMPLE_COM.map(IpAddr::V4).to_vec(),
                notice: Some(format!(
                    "{DEFAULT_HOST} did not resolve ({}); used its known IPv4 addresses",
                    cause.name()
                )),
            }),
            ErrorCode::Timeout => Err(Refusal::gateway_timeout(format!(
                "Could not resolve {host}: no answer in time."
            ))),
            _ => Err(Refusal::bad_gateway(format!(
                "Could not resolve {host}: {}.",
                cause.name()
            ))),
        }
    }
}

/// Errors: `timeout` where the deadline passed, `name-unresolvable` for an empty answer.
fn lookup(host: &str, network: &Network, deadline: &Deadline) -> Result<Vec<IpAddr>, ErrorCode> {
    let stream = resolve_addresses(network, host)?;
    let ready = stream.subscribe();
    let mut list = Vec::new();
    while list.len() < MAX_ADDRESSES {
        match stream.resolve_next_address() {
            Ok(Some(address)) => list.push(from_wit(address)),
            Ok(None) => break,
            Err(ErrorCode::WouldBlock) => deadline
                .wait(&[&ready])
                .map_err(|Expired| ErrorCode::Timeout)?,
            Err(code) => return Err(code),
        }
    }
    if list.is_empty() {
        return Err(ErrorCode::NameUnresolvable);
    }
    Ok(list)
}

/// An open connection. The streams are the socket's children, so they go first.
pub struct Connection {
    pub input: InputStream,
    pub output: OutputStream,
    pub socket: TcpSocket,
}

impl Connection {
    /// Tries each address in order; each gets an equal share of the time that is left.
    ///
    /// Errors: 504 where no address answered in its time, 502 with the cause of each
    /// where one gave another error.
    pub fn open(
        peer: &Peer,
        addresses: &Addresses,
        network: &Network,
        deadline: &Deadline,
    ) -> Result<Self, Refusal> {
        let mut causes = Vec::<String>::new();
        let mut all_silent = true;
        for (tried, &address) in addresses.list.iter().enumerate() {
            let address = SocketAddr::new(address, peer.port);
            let left = addresses.list.len() - tried;
            match connect(address, network, &deadline.part(left)) {
                Ok(connection) => return Ok(connection),
                Err(code) => {
                    all_silent &= code == ErrorCode::Timeout;
                    // The peer's own address would be said twice.
                    causes.push(match peer.literal() {
                        Some(_) => code.name().into(),
                        None => format!("{address} {}", code.name()),
                    });
                }
            }
        }
        let message = format!("Could not connect to {peer}: {}.", causes.join(", "));
        Err(if all_silent {
            Refusal::gateway_timeout(message)
        } else {
            Refusal::bad_gateway(message)
        })
    }
}

/// Errors: `timeout` where the deadline passed or the connect timed out by itself.
fn connect(
    address: SocketAddr,
    network: &Network,
    deadline: &Deadline,
) -> Result<Connection, ErrorCode> {
    let socket = create_tcp_socket(match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    })?;
    socket.start_connect(network, to_wit(address))?;
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
            Err(ErrorCode::WouldBlock) => deadline
                .wait(&[&ready])
                .map_err(|Expired| ErrorCode::Timeout)?,
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
