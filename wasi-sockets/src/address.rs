//! Which addresses the WIT text lets pass, whatever the backend.

use crate::{ErrorCode, IpAddressFamily};
use core::net::{IpAddr, SocketAddr};

/// The family of `address`.
pub(crate) fn family(address: &SocketAddr) -> IpAddressFamily {
    match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

/// `start-bind`: a `local-address` is of the socket's family, unicast (or unspecified) and not
/// IPv4-mapped.
pub(crate) fn check_local(of: IpAddressFamily, local: &SocketAddr) -> Result<(), ErrorCode> {
    let unicast = match local.ip() {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_multicast() && ip.to_ipv4_mapped().is_none(),
    };
    match unicast && family(local) == of {
        true => Ok(()),
        false => Err(ErrorCode::InvalidArgument),
    }
}

/// `start-connect`: a `remote-address` is that, and neither unspecified nor without a port.
pub(crate) fn check_remote(of: IpAddressFamily, remote: &SocketAddr) -> Result<(), ErrorCode> {
    check_local(of, remote)?;
    match remote.ip().is_unspecified() || remote.port() == 0 {
        true => Err(ErrorCode::InvalidArgument),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use IpAddressFamily::{Ipv4, Ipv6};

    #[test]
    fn addresses_are_checked_as_start_bind_and_start_connect_say() {
        // family, address, can be bound, can be connected to
        for (of, address, local, remote) in [
            (Ipv4, "127.0.0.1:80", true, true),
            (Ipv4, "192.0.2.1:65535", true, true),
            (Ipv4, "127.0.0.1:0", true, false),
            (Ipv4, "0.0.0.0:0", true, false),
            (Ipv4, "0.0.0.0:80", true, false),
            (Ipv4, "255.255.255.255:80", false, false),
            (Ipv4, "224.0.0.1:80", false, false),
            (Ipv4, "239.255.255.255:80", false, false),
            (Ipv4, "[::1]:80", false, false),
            (Ipv6, "[::1]:80", true, true),
            (Ipv6, "[2001:db8::1]:80", true, true),
            (Ipv6, "[::1]:0", true, false),
            (Ipv6, "[::]:80", true, false),
            (Ipv6, "[ff02::1]:80", false, false),
            (Ipv6, "[::ffff:127.0.0.1]:80", false, false),
            (Ipv6, "[::ffff:0.0.0.0]:0", false, false),
            (Ipv6, "127.0.0.1:80", false, false),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(
                check_local(of, &parsed).is_ok(),
                local,
                "bind {of:?} {address}"
            );
            assert_eq!(
                check_remote(of, &parsed).is_ok(),
                remote,
                "connect {of:?} {address}"
            );
        }
    }
}
