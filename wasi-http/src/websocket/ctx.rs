use super::backend::{Connector, Established, Handshake};
use super::upgrade::is_handshake_field;
use super::{ErrorCode, FutureConnection};
use crate::{BoxFuture, Fields, uri};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use wasi_sockets::NetworkPolicy;
use wasi_types::Duration;

/// The limits of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes, in both directions; at least 1. A longer one of the peer
    /// closes the connection. Messages that the guest sends as a stream may be longer.
    pub message: usize,
    /// So many bytes wait in each direction, each part of a message counted as
    /// [`PIECE_OVERHEAD`](super::memory::PIECE_OVERHEAD) more; then the sender waits. One
    /// message may go over it, so that each fits.
    pub queue: usize,
    /// After this long without a sign of the peer, in nanoseconds, it is sent a ping; after the
    /// same again, the connection has ended. 0 sends none.
    pub ping_interval: Duration,
    /// How long the peer may take to close the connection once it is being closed here, in
    /// nanoseconds: to take what was sent before, to answer, and to close its side. Then the
    /// connection is dropped.
    pub close_timeout: Duration,
}

impl Default for Limits {
    /// 16 MiB a message, 64 KiB in each direction, a ping after 30 s, 5 s to close.
    fn default() -> Self {
        Self {
            message: 16 << 20,
            queue: 64 << 10,
            ping_interval: 30_000_000_000,
            close_timeout: 5_000_000_000,
        }
    }
}

/// What a guest asks for (`agave:websocket/client.connect-options`); `None` is the host's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How long the connection may take to be made, in nanoseconds.
    pub connect_timeout: Option<Duration>,
    /// The longest message, in bytes, in both directions, at least 1; the host's limit holds as
    /// well.
    pub max_message_size: Option<u64>,
    /// See [`Limits::ping_interval`].
    pub ping_interval: Option<Duration>,
}

/// How many connections there may be, and are: of one guest, or of all guests whose contexts
/// have a clone of it.
#[derive(Clone, Debug)]
pub struct ConnectionCount(Arc<Count>);

#[derive(Debug)]
struct Count {
    open: AtomicUsize,
    max: usize,
}

impl ConnectionCount {
    /// Up to `max` at a time.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Count {
            open: AtomicUsize::new(0),
            max,
        }))
    }

    /// How many there are, those that are being made included.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    fn take(&self) -> Result<Held, ErrorCode> {
        let Count { open, max } = &*self.0;
        let more = |count: usize| (count < *max).then_some(count + 1);
        match open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Held(self.clone())),
            Err(_) => Err(ErrorCode::ConnectionLimit),
        }
    }
}

/// One of the connections there may be.
struct Held(ConnectionCount);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Leave to have a connection; given back when it is dropped.
pub(super) struct Leave {
    _guest: Held,
    _host: Option<Held>,
}

/// One guest's WebSockets: what makes its connections, and its limits.
#[derive(Clone)]
pub struct WasiWebSocketCtx {
    connector: Arc<dyn Connector>,
    policy: Option<NetworkPolicy>,
    limits: Limits,
    guest: ConnectionCount,
    host: Option<ConnectionCount>,
}

impl WasiWebSocketCtx {
    /// No connections to others, [`Limits::default`], 128 connections. Clones share the count.
    pub fn new() -> Self {
        Self {
            connector: Arc::new(Denied),
            policy: None,
            limits: Limits::default(),
            guest: ConnectionCount::new(128),
            host: None,
        }
    }

    /// Makes the guest's connections with `connector`.
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = connector;
        self
    }

    /// Makes only connections that `policy` allows, each judged as an HTTP request to its host
    /// and port is.
    pub fn policy(mut self, policy: NetworkPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// The limits of each connection.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many connections the guest may have at a time, both those it made and those it
    /// accepted.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.guest = ConnectionCount::new(max);
        self
    }

    /// Counts the guest's connections among those of others as well.
    pub fn shared_count(mut self, count: ConnectionCount) -> Self {
        self.host = Some(count);
        self
    }

    /// The limits of each connection.
    pub fn connection_limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn leave(&self) -> Result<Leave, ErrorCode> {
        Ok(Leave {
            _guest: self.guest.take()?,
            _host: self.host.as_ref().map(ConnectionCount::take).transpose()?,
        })
    }

    /// `client.connect`: begins to connect to `url`.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: `url` is not a `ws` or `wss` URL (RFC 6455, section 3),
    ///   or has a fragment or user information; a subprotocol is not a token, or is there
    ///   twice; one of `headers` belongs to the handshake.
    /// - [`ErrorCode::AccessDenied`]: the policy does not allow it.
    /// - [`ErrorCode::ConnectionLimit`]: there are as many connections as there may be.
    /// - Those that the connector knows at once. The future has the others.
    pub fn connect(
        &self,
        url: &str,
        subprotocols: Vec<String>,
        headers: Fields,
        options: Options,
    ) -> Result<FutureConnection, ErrorCode> {
        let (tls, authority, path_with_query) = parse(url).ok_or(ErrorCode::InvalidArgument)?;
        if headers.iter().any(|(name, _)| is_handshake_field(name))
            || !are_subprotocols(&subprotocols)
        {
            return Err(ErrorCode::InvalidArgument);
        }
        let grant = match &self.policy {
            Some(policy) => {
                let (host, port) = uri::host_and_port(&authority);
                let port = port.unwrap_or(if tls { 443 } else { 80 });
                let grant = policy.request(host, port);
                Some(grant.map_err(|_| ErrorCode::AccessDenied)?)
            }
            None => None,
        };
        let mut limits = self.limits;
        if let Some(max) = options.max_message_size {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            limits.message = limits.message.min(max.max(1));
        }
        limits.ping_interval = options.ping_interval.unwrap_or(limits.ping_interval);
        let leave = self.leave()?;
        let handshake = Handshake {
            tls,
            authority,
            path_with_query,
            subprotocols,
            headers,
            grant,
            connect_timeout: options.connect_timeout,
        };
        let made = self.connector.connect(handshake, limits);
        FutureConnection::unless_refused(made, leave, limits)
    }
}

/// Whether TLS is wanted, the authority, and the path with its query (RFC 6455, section 3).
fn parse(url: &str) -> Option<(bool, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let tls = match scheme {
        _ if scheme.eq_ignore_ascii_case("ws") => false,
        _ if scheme.eq_ignore_ascii_case("wss") => true,
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let mut path = String::from(path);
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    let valid = uri::is_authority(authority) && uri::is_path_with_query(&path);
    valid.then(|| (tls, authority.into(), path))
}

/// Tokens, each once (RFC 6455, section 4.1, item 10).
fn are_subprotocols(names: &[String]) -> bool {
    /// More than anybody has; it bounds the search for one that is there twice.
    const MAX: usize = 64;
    names.len() <= MAX
        && names.iter().enumerate().all(|(at, name)| {
            // The rules for a method are those for any token.
            uri::is_method(name) && !names[..at].contains(name)
        })
}

impl Default for WasiWebSocketCtx {
    fn default() -> Self {
        Self::new()
    }
}

/// A connector that makes no connection: each is [`ErrorCode::AccessDenied`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Denied;

impl Connector for Denied {
    fn connect(&self, _: Handshake, _: Limits) -> BoxFuture<Result<Established, ErrorCode>> {
        Box::pin(core::future::ready(Err(ErrorCode::AccessDenied)))
    }
}
