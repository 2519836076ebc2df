use super::bindings::wasi::sockets::{ip_name_lookup, types};
use crate::{ErrorCode, IpAddressFamily};
use alloc::string::ToString;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use wasi_io::StreamError;

impl From<ErrorCode> for types::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::NotSupported => Self::NotSupported,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::OutOfMemory => Self::OutOfMemory,
            ErrorCode::Timeout => Self::Timeout,
            // What is in progress is a state here.
            ErrorCode::InvalidState | ErrorCode::ConcurrencyConflict | ErrorCode::NotInProgress => {
                Self::InvalidState
            }
            ErrorCode::AddressNotBindable => Self::AddressNotBindable,
            ErrorCode::AddressInUse => Self::AddressInUse,
            ErrorCode::RemoteUnreachable => Self::RemoteUnreachable,
            ErrorCode::ConnectionRefused => Self::ConnectionRefused,
            ErrorCode::ConnectionBroken => Self::ConnectionBroken,
            ErrorCode::ConnectionReset => Self::ConnectionReset,
            ErrorCode::ConnectionAborted => Self::ConnectionAborted,
            ErrorCode::DatagramTooLarge => Self::DatagramTooLarge,
            ErrorCode::Unknown => Self::Other(None),
            // The limit of sockets, and what does not happen to them.
            code => Self::Other(Some(code.to_string())),
        }
    }
}

impl From<StreamError> for types::ErrorCode {
    /// Of a stream that ended with a failure. One that is closed takes no more.
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Closed => Self::ConnectionBroken,
            StreamError::LastOperationFailed(cause) => match cause.downcast_ref::<ErrorCode>() {
                Some(code) => (*code).into(),
                None => Self::Other(Some(cause.to_string())),
            },
        }
    }
}

impl From<ErrorCode> for ip_name_lookup::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::NameUnresolvable => Self::NameUnresolvable,
            ErrorCode::TemporaryResolverFailure => Self::TemporaryResolverFailure,
            ErrorCode::PermanentResolverFailure => Self::PermanentResolverFailure,
            ErrorCode::Unknown => Self::Other(None),
            code => Self::Other(Some(code.to_string())),
        }
    }
}

impl From<types::IpAddressFamily> for IpAddressFamily {
    fn from(family: types::IpAddressFamily) -> Self {
        match family {
            types::IpAddressFamily::Ipv4 => Self::Ipv4,
            types::IpAddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<IpAddressFamily> for types::IpAddressFamily {
    fn from(family: IpAddressFamily) -> Self {
        match family {
            IpAddressFamily::Ipv4 => Self::Ipv4,
            IpAddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

fn v4(ip: Ipv4Addr) -> types::Ipv4Address {
    ip.octets().into()
}

fn v6(ip: Ipv6Addr) -> types::Ipv6Address {
    ip.segments().into()
}

impl From<IpAddr> for types::IpAddress {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::Ipv4(v4(ip)),
            IpAddr::V6(ip) => Self::Ipv6(v6(ip)),
        }
    }
}

impl From<SocketAddr> for types::IpSocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::Ipv4(types::Ipv4SocketAddress {
                port: address.port(),
                address: v4(*address.ip()),
            }),
            SocketAddr::V6(address) => Self::Ipv6(types::Ipv6SocketAddress {
                port: address.port(),
                flow_info: address.flowinfo(),
                address: v6(*address.ip()),
                scope_id: address.scope_id(),
            }),
        }
    }
}

impl From<types::IpSocketAddress> for SocketAddr {
    fn from(address: types::IpSocketAddress) -> Self {
        match address {
            types::IpSocketAddress::Ipv4(address) => {
                let ip = <[u8; 4]>::from(address.address);
                SocketAddrV4::new(ip.into(), address.port).into()
            }
            types::IpSocketAddress::Ipv6(address) => {
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
                SocketAddr::from(types::IpSocketAddress::from(address)),
                address
            );
        }
    }

    #[test]
    fn codes_that_0_3_does_not_have_are_a_state_or_say_what_they_are() {
        use types::ErrorCode as Code;
        let other = |code: ErrorCode| Code::Other(Some(code.to_string()));
        for (code, told) in [
            (ErrorCode::ConcurrencyConflict, Code::InvalidState),
            (ErrorCode::NotInProgress, Code::InvalidState),
            (ErrorCode::ConnectionBroken, Code::ConnectionBroken),
            (ErrorCode::Unknown, Code::Other(None)),
            (ErrorCode::NewSocketLimit, other(ErrorCode::NewSocketLimit)),
            (
                ErrorCode::NameUnresolvable,
                other(ErrorCode::NameUnresolvable),
            ),
        ] {
            assert_eq!(Code::from(code), told);
        }
    }

    #[test]
    fn names_have_codes_of_their_own() {
        use ip_name_lookup::ErrorCode as Code;
        let not_supported = ErrorCode::NotSupported;
        for (code, told) in [
            (ErrorCode::AccessDenied, Code::AccessDenied),
            (ErrorCode::NameUnresolvable, Code::NameUnresolvable),
            (ErrorCode::Unknown, Code::Other(None)),
            (not_supported, Code::Other(Some(not_supported.to_string()))),
        ] {
            assert_eq!(Code::from(code), told);
        }
    }

    #[test]
    fn a_failed_stream_tells_the_code_of_its_cause() {
        use types::ErrorCode as Code;
        let reset = StreamError::failed(ErrorCode::ConnectionReset);
        assert_eq!(Code::from(reset), Code::ConnectionReset);
        assert_eq!(Code::from(StreamError::Closed), Code::ConnectionBroken);
        let strange = StreamError::failed(core::fmt::Error);
        assert!(matches!(Code::from(strange), Code::Other(Some(_))));
    }
}
