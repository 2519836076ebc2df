//! From a peer's name to an open connection.

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    TcpSocket,
};
use crate::deadline::{Expired, wait};
use crate::exchange::Streams;
use ai_agent::relay::{Deadline, Failure, MAX_ADDRESSES, Network};
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

/// WASI's network.
pub struct Wasi;

impl Network for Wasi {
    type Connection = TcpSocket;
    type Exchange = Streams;

    fn now() -> u64 {
        monotonic_clock::now()
    }

    async fn resolve(host: &str, deadline: Deadline) -> Result<Vec<IpAddr>, Failure> {
        let lookup = pin!(resolve_addresses(host.into()));
        match wait(deadline, lookup).await {
            Ok(Ok(list)) => Ok(list.into_iter().take(MAX_ADDRESSES).map(from_wit).collect()),
            Ok(Err(code)) => Err(Failure::Other(name(&code))),
            Err(Expired) => Err(Failure::Timeout),
        }
    }

    async fn connect(address: SocketAddr, deadline: Deadline) -> Result<TcpSocket, Failure> {
        let socket = TcpSocket::create(match address {
            SocketAddr::V4(_) => IpAddressFamily::Ipv4,
            SocketAddr::V6(_) => IpAddressFamily::Ipv6,
        })
        .map_err(failure)?;
        let connected = wait(deadline, pin!(socket.connect(to_wit(address)))).await;
        match connected {
            Ok(Ok(())) => Ok(socket),
            Ok(Err(code)) => Err(failure(code)),
            Err(Expired) => Err(Failure::Timeout),
        }
    }

    fn exchange(socket: TcpSocket, message: &[u8], half_close: bool) -> Streams {
        Streams::new(socket, message, half_close)
    }
}

fn failure(code: ErrorCode) -> Failure {
    match code {
        ErrorCode::Timeout => Failure::Timeout,
        code => Failure::Other(name(&code)),
    }
}

/// A code as WIT spells it, from `ErrorCode::AsRustDoes`; what is only text follows in
/// brackets.
pub fn name(code: &impl Debug) -> String {
    let text = format!("{code:?}");
    let text = text.strip_prefix("ErrorCode::").unwrap_or(&text);
    let (case, rest) = text.split_at(text.find('(').unwrap_or(text.len()));
    let mut name = String::new();
    for letter in case.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name + rest
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
