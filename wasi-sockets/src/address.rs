//! Which addresses the WIT text lets pass, whatever the backend.

use crate::{ErrorCode, IpAddressFamily};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The family of `address`.
pub(crate) fn family(address: &SocketAddr) -> IpAddressFamily {
    match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

/// Any free port of every address.
pub(crate) fn any(family: IpAddressFamily) -> SocketAddr {
    let ip = match family {
        IpAddressFamily::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddressFamily::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

/// An address of a UDP socket is of its family and not IPv4-mapped: `udp.start-bind`.
pub(crate) fn check_family(of: IpAddressFamily, address: &SocketAddr) -> Result<(), ErrorCode> {
    let mapped = match address.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some(),
    };
    match family(address) == of && !mapped {
        true => Ok(()),
        false => Err(ErrorCode::InvalidArgument),
    }
}

/// A peer of a UDP socket is that, and neither unspecified nor without a port: `udp.stream`
/// and `send`.
pub(crate) fn check_peer(of: IpAddressFamily, peer: &SocketAddr) -> Result<(), ErrorCode> {
    check_family(of, peer)?;
    match peer.ip().is_unspecified() || peer.port() == 0 {
        true => Err(ErrorCode::InvalidArgument),
        false => Ok(()),
    }
}

/// An address that a TCP socket is bound to is of its family and unicast (or unspecified), and
/// not IPv4-mapped: `tcp.start-bind`.
pub(crate) fn check_local(of: IpAddressFamily, local: &SocketAddr) -> Result<(), ErrorCode> {
    check_family(of, local)?;
    let broadcast = matches!(local.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    match local.ip().is_multicast() || broadcast {
        true => Err(ErrorCode::InvalidArgument),
        false => Ok(()),
    }
}

/// A peer of a TCP socket is that, and neither unspecified nor without a port:
/// `tcp.start-connect`.
pub(crate) fn check_remote(of: IpAddressFamily, remote: &SocketAddr) -> Result<(), ErrorCode> {
    check_local(of, remote)?;
    check_peer(of, remote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use IpAddressFamily::{Ipv4, Ipv6};

    #[test]
    fn addresses_are_checked_as_the_wit_text_says() {
        // family, address; can TCP bind and connect to it, and can UDP?
        for (of, address, [bind, connect, udp_bind, udp_peer]) in [
            (Ipv4, "127.0.0.1:80", [true, true, true, true]),
            (Ipv4, "192.0.2.1:65535", [true, true, true, true]),
            (Ipv4, "127.0.0.1:0", [true, false, true, false]),
            (Ipv4, "0.0.0.0:0", [true, false, true, false]),
            (Ipv4, "0.0.0.0:80", [true, false, true, false]),
            (Ipv4, "255.255.255.255:80", [false, false, true, true]),
            (Ipv4, "224.0.0.1:80", [false, false, true, true]),
            (Ipv4, "239.255.255.255:80", [false, false, true, true]),
            (Ipv4, "[::1]:80", [false, false, false, false]),
            (Ipv6, "[::1]:80", [true, true, true, true]),
            (Ipv6, "[2001:db8::1]:80", [true, true, true, true]),
            (Ipv6, "[fe80::1%2]:80", [true, true, true, true]),
            (Ipv6, "[::1]:0", [true, false, true, false]),
            (Ipv6, "[::]:80", [true, false, true, false]),
            (Ipv6, "[ff02::1]:80", [false, false, true, true]),
            (Ipv6, "[::ffff:127.0.0.1]:80", [false, false, false, false]),
            (Ipv6, "[::ffff:0.0.0.0]:0", [false, false, false, false]),
            (Ipv6, "127.0.0.1:80", [false, false, false, false]),
        ] {
            let parsed = address.parse().unwrap();
            let answers = [
                check_local(of, &parsed),
                check_remote(of, &parsed),
                check_family(of, &parsed),
                check_peer(of, &parsed),
            ];
            assert_eq!(
                answers.map(|answer| answer.is_ok()),
                [bind, connect, udp_bind, udp_peer],
                "{of:?} {address}"
            );
        }
    }
}
