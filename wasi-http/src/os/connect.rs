//! The way to an origin: its addresses, a connection to one of them, TLS over it.

use super::error;
use super::pool::{Origin, Permit, Sender};
use hyper::client::conn::{http1, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::boxed::Box;
use std::format;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::string::String;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasi_error::http::ErrorCode;
use wasi_sockets::HttpGrant;

/// After this, the next address is tried as well (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

pub(super) struct Connector {
    pub(super) tls: Arc<rustls::ClientConfig>,
    /// The same, for connections that can speak HTTP/1.1 only.
    #[cfg(feature = "tungstenite")]
    pub(super) tls_http1: Arc<rustls::ClientConfig>,
    /// The most bytes that the head of a response may have.
    pub(super) max_head: u32,
}

/// A connection to an origin.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl Connector {
    /// Makes a connection to `origin` until `deadline`, at an address that `grant` permits, and
    /// starts HTTP on it: HTTP/2 where TLS agreed on it, HTTP/1.1 otherwise.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        grant: Option<&HttpGrant>,
        deadline: Instant,
        permit: Permit,
    ) -> Result<Sender, ErrorCode> {
        let addresses = self.addresses(origin, grant, deadline).await?;
        timeout_at(deadline, self.open(origin, addresses, permit))
            .await
            .map_err(|_| ErrorCode::ConnectionTimeout)?
    }

    /// The addresses of `origin` that `grant` permits, known by `deadline`.
    pub(super) async fn addresses(
        &self,
        origin: &Origin,
        grant: Option<&HttpGrant>,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, ErrorCode> {
        let found = timeout_at(deadline, resolve(&origin.host, origin.port))
            .await
            .map_err(|_| ErrorCode::DnsTimeout)??;
        let addresses = match grant {
            Some(grant) => grant.permitted(found),
            None => Ok(found),
        };
        addresses.map_err(|_| ErrorCode::HttpRequestDenied)
    }

    /// A connection to one of `addresses`, with TLS where `origin` has it.
    pub(super) async fn stream(
        &self,
        origin: &Origin,
        addresses: Vec<SocketAddr>,
        tls: &Arc<rustls::ClientConfig>,
    ) -> Result<Stream, ErrorCode> {
        let stream = dial(addresses).await?;
        // Small requests must not wait for acknowledgements; where it can't be had, they do.
        let _ = stream.set_nodelay(true);
        if !origin.tls {
            return Ok(Stream::Plain(stream));
        }
        let name = ServerName::try_from(origin.host.clone())
            .map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let stream = TlsConnector::from(tls.clone())
            .connect(name, stream)
            .await
            .map_err(|error| error::of_handshake(&error))?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    async fn open(
        &self,
        origin: &Origin,
        addresses: Vec<SocketAddr>,
        permit: Permit,
    ) -> Result<Sender, ErrorCode> {
        let stream = self.stream(origin, addresses, &self.tls).await?;
        let peer = stream.tcp().peer_addr();
        let peer = peer.map_err(|error| error::of_io(&error))?.ip();
        match stream {
            Stream::Plain(stream) => self.http1(TokioIo::new(stream), peer, permit).await,
            Stream::Tls(stream) => match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => self.http2(TokioIo::new(stream), peer, permit).await,
                _ => self.http1(TokioIo::new(stream), peer, permit).await,
            },
        }
    }

    async fn http1<T>(&self, io: T, peer: IpAddr, permit: Permit) -> Result<Sender, ErrorCode>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_header_size(self.max_head as usize)
            .handshake(io)
            .await
            .map_err(|error| error::of_exchange(&error))?;
        tokio::spawn(async move {
            let _permit = permit;
            // The requests on it get its error.
            let _ = connection.await;
        });
        Ok(Sender::Http1(sender, peer))
    }

    async fn http2<T>(&self, io: T, peer: IpAddr, permit: Permit) -> Result<Sender, ErrorCode>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(self.max_head)
            .handshake(io)
            .await
            .map_err(|error| error::of_exchange(&error))?;
        tokio::spawn(async move {
            let _permit = permit;
            let _ = connection.await;
        });
        Ok(Sender::Http2(sender, peer))
    }
}

/// The addresses of `host`, in the system's order; at least one.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ErrorCode> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Vec::from([SocketAddr::new(address, port)]));
    }
    let host = String::from(host);
    // A set, so that a lookup that nobody waits for any more does not start.
    let mut lookup = JoinSet::new();
    lookup.spawn_blocking(move || (host, port).to_socket_addrs());
    match lookup.join_next().await {
        Some(Ok(Ok(addresses))) => match Vec::from_iter(addresses) {
            none if none.is_empty() => Err(ErrorCode::DestinationNotFound),
            addresses => Ok(addresses),
        },
        Some(Ok(Err(error))) => Err(error::of_resolver(&error)),
        Some(Err(error)) => Err(ErrorCode::InternalError(Some(format!("{error}")))),
        None => Err(ErrorCode::DnsTimeout),
    }
}

/// Connects to the first of `addresses` that answers: each gets a head start on the next. The
/// error is of the first that could be reached, or else of the last.
async fn dial(addresses: Vec<SocketAddr>) -> Result<TcpStream, ErrorCode> {
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failed = ErrorCode::DestinationIpUnroutable;
    loop {
        match addresses.next() {
            Some(address) if addresses.len() == 0 && attempts.is_empty() => {
                // The usual case needs no task of its own.
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => keep(&mut failed, error::of_io(&error)),
                }
            }
            Some(address) => {
                attempts.spawn(TcpStream::connect(address));
            }
            None if attempts.is_empty() => return Err(failed),
            None => {}
        }
        let ended = match addresses.len() {
            0 => Ok(attempts.join_next().await),
            _ => timeout(ATTEMPT_DELAY, attempts.join_next()).await,
        };
        match ended {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => keep(&mut failed, error::of_io(&error)),
            Ok(Some(Err(error))) => failed = ErrorCode::InternalError(Some(format!("{error}"))),
            // None is left, or the next gets its turn.
            Ok(None) | Err(_) => {}
        }
    }
}

fn keep(failed: &mut ErrorCode, error: ErrorCode) {
    if matches!(
        failed,
        ErrorCode::DestinationIpUnroutable | ErrorCode::DestinationUnavailable
    ) {
        *failed = error;
    }
}
