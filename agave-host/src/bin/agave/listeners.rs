//! `--tcplisten`: sockets that listen when a module starts.

use super::Failure;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use wasi_sockets::{ErrorCode, IpAddressFamily, Network, TcpListener};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Listens on each of `addresses`, in order.
///
/// # Errors
/// [`Failure::Failed`]: one of them can't be listened on.
pub(super) async fn listen(
    network: &dyn Network,
    addresses: &[SocketAddr],
) -> Result<Vec<Arc<dyn TcpListener>>, Failure> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = bind(network, *address).await;
        let listener =
            listener.map_err(|code| Failure::Failed(format!("--tcplisten {address}: {code}")))?;
        if address.port() == 0
            && let Ok(bound) = listener.local_address()
        {
            eprintln!("Listening on {bound}");
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

async fn bind(
    network: &dyn Network,
    address: SocketAddr,
) -> Result<Arc<dyn TcpListener>, ErrorCode> {
    let family = match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    };
    let mut socket = network.tcp_socket(family)?;
    poll_fn(|cx| socket.poll_bind(cx, address)).await?;
    poll_fn(|cx| socket.poll_listen(cx, BACKLOG)).await
}
