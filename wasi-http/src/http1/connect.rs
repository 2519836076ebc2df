//! The way to an origin: its addresses, and a connection to one of them.

use super::error;
use crate::{ErrorCode, Request, Scheme, uri};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use wasi_clocks::{Duration, Sleep, WasiClocksCtx};
use wasi_io::Pollable;
use wasi_sockets::{
    HttpGrant, IpAddressFamily, Network, ResolveAddressStream, TcpSocket, TcpStream, WasiSocketsCtx,
};

/// After this, in nanoseconds, the next address is tried as well (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = 250_000_000;

/// What a connection can be used for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// In lower case; an IPv6 address with its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// Where a request goes.
pub(super) struct Target {
    pub(super) origin: Origin,
    pub(super) grant: Option<HttpGrant>,
    pub(super) authority: String,
    pub(super) path: String,
}

/// The longest path with its query, in bytes.
const PATH_MAX: usize = u16::MAX as usize - 1;

impl Target {
    /// Takes the target out of `request`.
    pub(super) fn of(request: &mut Request) -> Result<Self, ErrorCode> {
        match request.scheme {
            Some(Scheme::Http) | None => {}
            // There is no TLS here.
            Some(Scheme::Https) => return Err(ErrorCode::ConfigurationError),
            Some(Scheme::Other(_)) => return Err(ErrorCode::HttpRequestUriInvalid),
        }
        let authority = request.authority.take().unwrap_or_default();
        if !uri::is_authority(&authority) {
            return Err(ErrorCode::HttpRequestUriInvalid);
        }
        let (host, port) = uri::host_and_port(&authority);
        let origin = Origin {
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(80),
        };
        if origin.port == 0 {
            return Err(ErrorCode::HttpRequestUriInvalid);
        }
        let mut path = request.path_with_query.take().unwrap_or_default();
        if path.len() >= PATH_MAX {
            return Err(ErrorCode::HttpRequestUriTooLong);
        }
        if !uri::is_path_with_query(&path) {
            return Err(ErrorCode::HttpRequestUriInvalid);
        }
        if path.is_empty() || path.starts_with('?') {
            path.insert(0, '/');
        }
        Ok(Self {
            origin,
            grant: request.grant.take(),
            authority,
            path,
        })
    }
}

/// Makes connections.
pub(super) struct Connector {
    network: Arc<dyn Network>,
    names: WasiSocketsCtx,
    clocks: WasiClocksCtx,
}

impl Connector {
    /// Looks up as many names at once as there may be connections.
    pub(super) fn new(network: Arc<dyn Network>, clocks: WasiClocksCtx, lookups: usize) -> Self {
        Self {
            names: WasiSocketsCtx::new()
                .network(network.clone())
                .allow_name_lookup(true)
                .max_lookups(lookups),
            network,
            clocks,
        }
    }

    pub(super) fn clocks(&self) -> &WasiClocksCtx {
        &self.clocks
    }

    /// A connection to `origin` at an address that `grant` permits, made before `deadline` is
    /// over, and that address.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        grant: Option<&HttpGrant>,
        deadline: &mut Sleep,
    ) -> Result<(Arc<dyn TcpStream>, IpAddr), ErrorCode> {
        let found = super::time::until(deadline, self.lookup(origin));
        let found = found.await.ok_or(ErrorCode::DnsTimeout)??;
        let addresses = match grant {
            Some(grant) => grant.permitted(found),
            None => Ok(found),
        };
        let addresses = addresses.map_err(|_| ErrorCode::HttpRequestDenied)?;
        let stream = super::time::until(deadline, self.dial(addresses));
        stream.await.ok_or(ErrorCode::ConnectionTimeout)?
    }

    async fn lookup(&self, origin: &Origin) -> Result<Vec<SocketAddr>, ErrorCode> {
        let network = self.names.instance_network();
        let mut addresses = ResolveAddressStream::new(&self.names, &network, &origin.host)
            .map_err(error::of_lookup)?;
        let found = poll_fn(|cx| addresses.poll_addresses(cx)).await;
        let found = found.map_err(error::of_lookup)?;
        Ok(found
            .into_iter()
            .map(|address| SocketAddr::new(address, origin.port))
            .collect())
    }

    /// Connects to the first of `addresses` that answers: each gets a head start on the next.
    /// The error is of the first that could be reached, or else of the last.
    async fn dial(
        &self,
        addresses: Vec<SocketAddr>,
    ) -> Result<(Arc<dyn TcpStream>, IpAddr), ErrorCode> {
        let mut addresses = addresses
            .into_iter()
            .filter(|address| is_unicast(address.ip()));
        let mut next = addresses.next();
        let mut attempts: Vec<(Box<dyn TcpSocket>, SocketAddr)> = Vec::new();
        let mut failed = ErrorCode::DestinationIpUnroutable;
        let mut delay = self.clocks.sleep(0);
        poll_fn(move |cx| {
            loop {
                let mut at = 0;
                while let Some((socket, address)) = attempts.get_mut(at) {
                    match socket.poll_connect(cx, *address) {
                        Poll::Ready(Ok(stream)) => return Poll::Ready(Ok((stream, address.ip()))),
                        Poll::Ready(Err(error)) => {
                            keep(&mut failed, error::of_sockets(error));
                            attempts.remove(at);
                        }
                        Poll::Pending => at += 1,
                    }
                }
                let Some(address) = next else {
                    return match attempts.is_empty() {
                        true => Poll::Ready(Err(failed.clone())),
                        false => Poll::Pending,
                    };
                };
                if !attempts.is_empty() && delay.poll_ready(cx).is_pending() {
                    return Poll::Pending;
                }
                next = addresses.next();
                let family = match address {
                    SocketAddr::V4(_) => IpAddressFamily::Ipv4,
                    SocketAddr::V6(_) => IpAddressFamily::Ipv6,
                };
                match self.network.tcp_socket(family) {
                    Ok(socket) => attempts.push((socket, address)),
                    Err(error) => keep(&mut failed, error::of_sockets(error)),
                }
                delay = self.clocks.sleep(ATTEMPT_DELAY);
            }
        })
        .await
    }
}

/// What [`TcpSocket::poll_connect`] can be asked for.
fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

fn keep(failed: &mut ErrorCode, error: ErrorCode) {
    if matches!(
        failed,
        ErrorCode::DestinationIpUnroutable | ErrorCode::DestinationUnavailable
    ) {
        *failed = error;
    }
}
