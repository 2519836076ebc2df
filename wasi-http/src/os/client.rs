//! What sends requests over the machine's network.

use super::body::{HyperBody, ResponseBody};
use super::connect::Connector;
use super::convert::{self, Target};
use super::pool::{Lease, Limits, Pool, Sender};
use super::{after, error};
use crate::{BoxFuture, Client, Request, RequestOptions, Response};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http::{HeaderMap, Method, header};
use http_body::Body as _;
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::boxed::Box;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use wasi_error::http::ErrorCode;
use wasi_io::os::Runtime;

/// A [`Client`] on this machine's network: HTTP/1.1 and, where TLS agrees on it, HTTP/2, with
/// connections that are kept and used again. It goes to the addresses that a request's
/// [`grant`](Request::grant) permits; without one it sends whatever it is given to wherever it
/// is sent.
///
/// Clones share the connections. An exchange goes on by itself once [`Client::send`] was
/// called, under any executor, and ends when its future, or the response's body, is dropped.
///
/// A request whose connection was kept and turns out to be closed is sent once more over a new
/// one, where it did not leave at all, or has no content and an idempotent method (RFC 9110,
/// section 9.2.2).
///
/// Over HTTP/1.1, trailers are sent if a `trailer` header announces them and the content has no
/// `content-length`; the content of a `GET` or `HEAD` is sent if it has a `content-length`.
#[derive(Clone)]
pub struct OsClient(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) runtime: Runtime,
    pub(super) connector: Connector,
    pub(super) pool: Arc<Pool>,
    pub(super) timeouts: Timeouts,
}

#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

/// Makes an [`OsClient`].
#[derive(Clone)]
pub struct OsClientBuilder {
    runtime: Runtime,
    public_roots: bool,
    roots: Vec<CertificateDer<'static>>,
    http2: bool,
    timeouts: Timeouts,
    limits: Limits,
    max_head: u32,
}

impl OsClientBuilder {
    /// Whether Mozilla's certificate authorities are trusted; they are unless this says
    /// otherwise.
    pub fn public_roots(mut self, trusted: bool) -> Self {
        self.public_roots = trusted;
        self
    }

    /// Trusts `certificate`, in DER, as an authority as well.
    pub fn root(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        self.roots.push(CertificateDer::from(certificate.into()));
        self
    }

    /// Whether HTTP/2 is offered over TLS; it is unless this says otherwise.
    pub fn http2(mut self, offered: bool) -> Self {
        self.http2 = offered;
        self
    }

    /// How long a connection may take to be made where a request does not say; 600 s unless
    /// set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long the head of a response may take where a request does not say; 600 s unless
    /// set.
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.first_byte = timeout;
        self
    }

    /// How long the next part of a response's body may take where a request does not say;
    /// 600 s unless set.
    pub fn between_bytes_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.between_bytes = timeout;
        self
    }

    /// How many connections there are at a time, idle ones included; 512 unless set, at
    /// least 1. A request that needs one more waits for its connect timeout, then fails with
    /// [`ErrorCode::ConnectionLimitReached`].
    pub fn max_connections(mut self, max: usize) -> Self {
        self.limits.connections = max.max(1);
        self
    }

    /// How many idle connections are kept for one origin; 32 unless set, 0 keeps none.
    pub fn max_idle_per_origin(mut self, max: usize) -> Self {
        self.limits.idle_per_origin = max;
        self
    }

    /// How long an idle connection is kept; 90 s unless set.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// How many bytes the head of a response, or its trailers, may have; 64 KiB unless set. A
    /// longer one fails with [`ErrorCode::HttpResponseHeaderSectionSize`] over HTTP/1.1.
    pub fn max_response_head(mut self, bytes: u32) -> Self {
        self.max_head = bytes;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// A root is not a certificate.
    pub fn build(self) -> Result<OsClient, rustls::Error> {
        let mut roots = RootCertStore::empty();
        if self.public_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for root in self.roots {
            roots.add(root)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = Vec::from([Vec::from(b"http/1.1")]);
        #[cfg(feature = "tungstenite")]
        let tls_http1 = Arc::new(tls.clone());
        if self.http2 {
            tls.alpn_protocols.insert(0, Vec::from(b"h2"));
        }
        Ok(OsClient(Arc::new(Inner {
            runtime: self.runtime,
            connector: Connector {
                tls: Arc::new(tls),
                #[cfg(feature = "tungstenite")]
                tls_http1,
                max_head: self.max_head,
            },
            pool: Pool::new(self.limits),
            timeouts: self.timeouts,
        })))
    }
}

impl OsClient {
    /// A client whose connections live on `runtime`, with the defaults of [`OsClientBuilder`].
    pub fn new(runtime: Runtime) -> Self {
        match Self::builder(runtime).build() {
            Ok(client) => client,
            Err(_) => unreachable!("ring has the versions that rustls has by default"),
        }
    }

    /// A client to be set up, whose connections live on `runtime`.
    pub fn builder(runtime: Runtime) -> OsClientBuilder {
        let timeout = Duration::from_secs(600);
        OsClientBuilder {
            runtime,
            public_roots: true,
            roots: Vec::new(),
            http2: true,
            timeouts: Timeouts {
                connect: timeout,
                first_byte: timeout,
                between_bytes: timeout,
            },
            limits: Limits {
                connections: 512,
                idle_per_origin: 32,
                idle_timeout: Duration::from_secs(90),
            },
            max_head: 64 * 1024,
        }
    }
}

impl Default for OsClient {
    /// On [`Runtime::current`].
    fn default() -> Self {
        Self::new(Runtime::current())
    }
}

impl Client for OsClient {
    fn send(
        &self,
        request: Request,
        options: RequestOptions,
    ) -> BoxFuture<Result<Response, ErrorCode>> {
        let (target, request) = match convert::request_to_hyper(request) {
            Ok(request) => request,
            Err(code) => return Box::pin(core::future::ready(Err(code))),
        };
        let or = |given: Option<u64>, own| given.map_or(own, Duration::from_nanos);
        let own = self.0.timeouts;
        let timeouts = Timeouts {
            connect: or(options.connect_timeout, own.connect),
            first_byte: or(options.first_byte_timeout, own.first_byte),
            between_bytes: or(options.between_bytes_timeout, own.between_bytes),
        };
        let (answer, answered) = oneshot::channel();
        let exchange = exchange(self.0.clone(), target, request, timeouts, answer);
        let task = self.0.runtime.handle().spawn(exchange).abort_handle();
        Box::pin(Sent { answered, task })
    }
}

/// Waits for the head of a response.
struct Sent {
    answered: oneshot::Receiver<Result<Response, ErrorCode>>,
    task: AbortHandle,
}

impl Future for Sent {
    type Output = Result<Response, ErrorCode>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Without an answer, the runtime has gone.
        Poll::Ready(
            ready!(Pin::new(&mut self.answered).poll(cx))
                .unwrap_or(Err(ErrorCode::ConnectionTerminated)),
        )
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // After the head, the response's body says how long the exchange goes on.
        if !self.answered.is_terminated() {
            self.task.abort();
        }
    }
}

async fn exchange(
    inner: Arc<Inner>,
    target: Target,
    request: http::Request<HyperBody>,
    timeouts: Timeouts,
    answer: oneshot::Sender<Result<Response, ErrorCode>>,
) {
    let (response, sender) = match inner.head(&target, request, timeouts).await {
        Ok(head) => head,
        Err(code) => {
            let _ = answer.send(Err(code));
            return;
        }
    };
    let response = convert::response_from_hyper(response, |incoming| {
        ResponseBody::new(incoming, timeouts.between_bytes, inner.runtime.clone())
    });
    if answer.send(Ok(response)).is_err() {
        return;
    }
    if let Sender::Http1(mut sender, peer) = sender
        // Until the response is read to its end; an error means that the connection is closed.
        && sender.ready().await.is_ok()
    {
        inner.pool.put(target.origin, sender, peer);
    }
}

impl Inner {
    /// Sends `request` and waits for the head of the response.
    async fn head(
        &self,
        target: &Target,
        mut request: http::Request<HyperBody>,
        timeouts: Timeouts,
    ) -> Result<(http::Response<Incoming>, Sender), ErrorCode> {
        let mut fresh = false;
        loop {
            let connection = self.connection(target, fresh, timeouts.connect);
            let (mut sender, reused) = connection.await?;
            let again = reused.then(|| copy(&request)).flatten();
            target.address(&mut request, matches!(sender, Sender::Http2(..)))?;
            let mut failure = match timeout(timeouts.first_byte, sender.send(request)).await {
                Ok(Ok(response)) if response.status() == http::StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(ErrorCode::HttpUpgradeFailed);
                }
                Ok(Ok(response)) => return Ok((response, sender)),
                Ok(Err(failure)) => failure,
                Err(_) => return Err(ErrorCode::HttpResponseTimeout),
            };
            let code = error::of_exchange(failure.error());
            // Only a connection that was kept may have been closed for no fault of this request.
            request = match failure.take_message() {
                Some(request) if reused => request,
                _ if code != ErrorCode::ConnectionTerminated => return Err(code),
                _ => again.ok_or(code)?,
            };
            fresh = true;
        }
    }

    /// A connection to where `target` says, and whether it served another request before.
    async fn connection(
        &self,
        target: &Target,
        fresh: bool,
        timeout: Duration,
    ) -> Result<(Sender, bool), ErrorCode> {
        let Target { origin, grant, .. } = target;
        let grant = grant.as_ref();
        let deadline = after(Instant::now(), timeout);
        let lease = timeout_at(deadline, self.pool.lease(origin, grant, fresh))
            .await
            .map_err(|_| ErrorCode::ConnectionLimitReached)?;
        let permit = match lease {
            Lease::Reused(sender) => return Ok((sender, true)),
            Lease::Open(permit) => permit,
        };
        let connect = self.connector.connect(origin, grant, deadline, permit);
        let sender = connect.await?;
        if let Sender::Http2(sender, peer) = &sender {
            self.pool.share(origin, sender, *peer);
        }
        Ok((sender, false))
    }
}

/// The same request once more, where it may be sent twice and has no content.
fn copy(request: &http::Request<HyperBody>) -> Option<http::Request<HyperBody>> {
    let method = request.method();
    let framed = |headers: &HeaderMap| {
        headers.contains_key(header::CONTENT_LENGTH)
            || headers.contains_key(header::TRANSFER_ENCODING)
    };
    // hyper sends no content of unknown length with these over HTTP/1.1.
    let unsent = matches!(*method, Method::GET | Method::HEAD)
        && request.body().size_hint().exact().is_none()
        && !framed(request.headers());
    if !method.is_idempotent() || !(request.body().is_end_stream() || unsent) {
        return None;
    }
    let mut copy = http::Request::new(HyperBody::empty());
    *copy.method_mut() = method.clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
