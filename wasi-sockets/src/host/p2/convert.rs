use super::bindings::wasi::sockets::network;
use super::bindings::wasi::sockets::tcp::ShutdownType;
use crate::{ErrorCode, IpAddressFamily, Shutdown};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

impl From<ErrorCode> for network::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::NotSupported => Self::NotSupported,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::OutOfMemory => Self::OutOfMemory,
            ErrorCode::Timeout => Self::Timeout,
            ErrorCode::ConcurrencyConflict => Self::ConcurrencyConflict,
            ErrorCode::NotInProgress => Self::NotInProgress,
            ErrorCode::WouldBlock => Self::WouldBlock,
            ErrorCode::InvalidState => Self::InvalidState,
            ErrorCode::NewSocketLimit => Self::NewSocketLimit,
            ErrorCode::AddressNotBindable => Self::AddressNotBindable,
            ErrorCode::AddressInUse => Self::AddressInUse,
            ErrorCode::RemoteUnreachable => Self::RemoteUnreachable,
            ErrorCode::ConnectionRefused => Self::ConnectionRefused,
            ErrorCode::ConnectionReset | ErrorCode::ConnectionBroken => Self::ConnectionReset,
            ErrorCode::ConnectionAborted => Self::ConnectionAborted,
            ErrorCode::DatagramTooLarge => Self::DatagramTooLarge,
            ErrorCode::NameUnresolvable => Self::NameUnresolvable,
            ErrorCode::TemporaryResolverFailure => Self::TemporaryResolverFailure,
            ErrorCode::PermanentResolverFailure => Self::PermanentResolverFailure,
            // `Unknown`, and what later versions of the crate may add.
            _ => Self::Unknown,
        }
    }
}

impl From<network::IpAddressFamily> for IpAddressFamily {
    fn from(family: network::IpAddressFamily) -> Self {
        match family {
            network::IpAddressFamily::Ipv4 => Self::Ipv4,
            network::IpAddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<IpAddressFamily> for network::IpAddressFamily {
    fn from(family: IpAddressFamily) -> Self {
        match family {
            IpAddressFamily::Ipv4 => Self::Ipv4,
            IpAddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<ShutdownType> for Shutdown {
    fn from(how: ShutdownType) -> Self {
        match how {
            ShutdownType::Receive => Self::Receive,
            ShutdownType::Send => Self::Send,
            ShutdownType::Both => Self::Both,
        }
    }
}

fn v4(ip: Ipv4Addr) -> network::Ipv4Address {
    ip.octets().into()
}

fn v6(ip: Ipv6Addr) -> network::Ipv6Address {
    ip.segments().into()
}

impl From<IpAddr> for network::IpAddress {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::Ipv4(v4(ip)),
            IpAddr::V6(ip) => Self::Ipv6(v6(ip)),
        }
    }
}

impl From<SocketAddr> for network::IpSocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::Ipv4(network::Ipv4SocketAddress {
                port: address.port(),
                address: v4(*address.ip()),
            }),
            SocketAddr::V6(address) => Self::Ipv6(network::Ipv6SocketAddress {
                port: address.port(),
                flow_info: address.flowinfo(),
                address: v6(*address.ip()),
                scope_id: address.scope_id(),
            }),
        }
    }
}

impl From<network::IpSocketAddress> for SocketAddr {
    fn from(address: network::IpSocketAddress) -> Self {
        match address {
            network::IpSocketAddress::Ipv4(address) => {
                let ip = <[u8; 4]>::from(address.address);
                SocketAddrV4::new(ip.into(), address.port).into()
            }
            network::IpSocketAddress::Ipv6(address) => {
                let ip = <[u16; 8]>::from(address.address);
                let (flow, scope) = (address.flow_info, address.scope_id);
                SocketAddrV6::new(ip.into(), address.port, flow, scope).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_same_there_and_back() {
        for address in [
            SocketAddr::from(([127, 0, 0, 1], 65535)),
            SocketAddrV6::new("2001:db8::1:2".parse().unwrap(), 1, 2, 3).into(),
        ] {
            assert_eq!(
                SocketAddr::from(network::IpSocketAddress::from(address)),
                address
            );
        }
    }
}
