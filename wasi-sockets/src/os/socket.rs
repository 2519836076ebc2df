//! What the sockets of this machine have in common.

use crate::{ErrorCode, IpAddressFamily, SocketOption};
use core::net::SocketAddr;
use core::time::Duration;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// The longest keep-alive time that Linux takes, in seconds.
const KEEP_ALIVE_TIME_MAX: u64 = 32767;
/// The most keep-alive probes that Linux takes.
const KEEP_ALIVE_COUNT_MAX: u64 = 127;
/// Linux reserves twice of what it is asked for and says so when it is read back.
const BUFFER_FACTOR: u64 = if cfg!(target_os = "linux") { 2 } else { 1 };

/// A new socket, which never blocks; of IPv6 without IPv4-mapped addresses.
pub(super) fn new(
    family: IpAddressFamily,
    r#type: Type,
    protocol: Protocol,
) -> Result<Socket, ErrorCode> {
    let domain = match family {
        IpAddressFamily::Ipv4 => Domain::IPV4,
        IpAddressFamily::Ipv6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, r#type, Some(protocol))?;
    if family == IpAddressFamily::Ipv6 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub(super) fn local_address(socket: SockRef<'_>) -> Result<SocketAddr, ErrorCode> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or(ErrorCode::InvalidState)
}

pub(super) fn option(
    socket: SockRef<'_>,
    family: IpAddressFamily,
    option: SocketOption,
) -> Result<u64, ErrorCode> {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let value = match option {
        SocketOption::KeepAliveEnabled => socket.keepalive()?.into(),
        SocketOption::KeepAliveIdleTime => nanoseconds(socket.tcp_keepalive_time()?),
        SocketOption::KeepAliveInterval => nanoseconds(socket.tcp_keepalive_interval()?),
        SocketOption::KeepAliveCount => socket.tcp_keepalive_retries()?.into(),
        SocketOption::HopLimit => match family {
            IpAddressFamily::Ipv4 => socket.ttl_v4()?.into(),
            IpAddressFamily::Ipv6 => socket.unicast_hops_v6()?.into(),
        },
        SocketOption::ReceiveBufferSize => socket.recv_buffer_size()? as u64 / BUFFER_FACTOR,
        SocketOption::SendBufferSize => socket.send_buffer_size()? as u64 / BUFFER_FACTOR,
    };
    Ok(value)
}

pub(super) fn set_option(
    socket: SockRef<'_>,
    family: IpAddressFamily,
    option: SocketOption,
    value: u64,
) -> Result<(), ErrorCode> {
    // Whole seconds, rounded up so that none is 0.
    let seconds = || Duration::from_secs(value.div_ceil(1_000_000_000).min(KEEP_ALIVE_TIME_MAX));
    let size = || value.min(i32::MAX as u64) as usize;
    match option {
        SocketOption::KeepAliveEnabled => socket.set_keepalive(value != 0)?,
        SocketOption::KeepAliveIdleTime => {
            set_keep_alive(socket, TcpKeepalive::new().with_time(seconds()))?;
        }
        SocketOption::KeepAliveInterval => {
            set_keep_alive(socket, TcpKeepalive::new().with_interval(seconds()))?;
        }
        SocketOption::KeepAliveCount => {
            let count = value.min(KEEP_ALIVE_COUNT_MAX) as u32;
            set_keep_alive(socket, TcpKeepalive::new().with_retries(count))?;
        }
        SocketOption::HopLimit => match family {
            IpAddressFamily::Ipv4 => socket.set_ttl_v4(value.min(255) as u32)?,
            IpAddressFamily::Ipv6 => socket.set_unicast_hops_v6(value.min(255) as u32)?,
        },
        SocketOption::ReceiveBufferSize => socket.set_recv_buffer_size(size())?,
        SocketOption::SendBufferSize => socket.set_send_buffer_size(size())?,
    }
    Ok(())
}

/// socket2 turns keep-alive on with any of its parameters; WASI does not.
fn set_keep_alive(socket: SockRef<'_>, parameters: TcpKeepalive) -> Result<(), ErrorCode> {
    let enabled = socket.keepalive()?;
    socket.set_tcp_keepalive(&parameters)?;
    Ok(socket.set_keepalive(enabled)?)
}
