use super::driver::{Driver, Stop};
use super::has_token;
use crate::os::{HyperBody, convert, response_to_hyper};
use crate::websocket::{ErrorCode, Limits, Responder, Socket, UpgradeRequest, memory};
use crate::{Fields, Response, Scheme};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::{HeaderValue, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::boxed::Box;
use std::string::String;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use wasi_io::os::Runtime;

/// Whether `request` asks for a WebSocket (RFC 6455, section 4.2.1); [`Server::upgrade`] says
/// whether it does it right.
pub fn is_upgrade<B>(request: &http::Request<B>) -> bool {
    request.method() == http::Method::GET
        && request.version() == Version::HTTP_11
        && has_token(request.headers(), header::CONNECTION, "upgrade")
        && has_token(request.headers(), header::UPGRADE, "websocket")
}

/// Accepts WebSockets from hyper, whose connections must be served with upgrades. Clones share
/// the connections.
#[derive(Clone)]
pub struct Server {
    stop: Arc<watch::Sender<bool>>,
}

impl Server {
    /// One without connections.
    pub fn new() -> Self {
        Self {
            stop: Arc::new(watch::Sender::new(false)),
        }
    }

    /// How many connections there are, those included that their guests have closed or dropped
    /// and that wait for the peer.
    pub fn connections(&self) -> usize {
        self.stop.receiver_count()
    }

    /// Closes all connections with code 1001, and answers each request from now on with 503.
    /// The futures of [`Server::closed`] are ready when all are closed, which takes no longer
    /// than [`Limits::close_timeout`].
    pub fn close_all(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until there is no connection.
    pub async fn closed(&self) {
        self.stop.closed().await;
    }

    /// A request for which [`is_upgrade`] is true, for a guest to answer, and the answer, for
    /// hyper to send. The connection lives on the runtime that this is called in.
    ///
    /// # Errors
    /// The response to a request that can't be answered otherwise: 400 without a key (RFC 6455,
    /// section 4.2.1) or with a `host` that is not valid, 426 for another version than 13
    /// (section 4.4), 503 after [`Server::close_all`].
    pub fn upgrade(
        &self,
        mut request: http::Request<Incoming>,
        scheme: Scheme,
    ) -> Result<(UpgradeRequest, Answer), Box<http::Response<HyperBody>>> {
        if *self.stop.borrow() {
            return Err(Box::new(refusal(StatusCode::SERVICE_UNAVAILABLE)));
        }
        let headers = request.headers();
        if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&HeaderValue::from_static("13")) {
            let mut response = refusal(StatusCode::UPGRADE_REQUIRED);
            let version = HeaderValue::from_static("13");
            (response.headers_mut()).insert(header::SEC_WEBSOCKET_VERSION, version);
            return Err(Box::new(response));
        }
        // 16 bytes in base64.
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        let Some(key) = key.filter(|key| key.len() == 24) else {
            return Err(Box::new(refusal(StatusCode::BAD_REQUEST)));
        };
        let key = derive_accept_key(key.as_bytes());
        let on_upgrade = hyper::upgrade::on(&mut request);
        let request = convert::request_from_hyper(request, scheme)
            .map_err(|_| Box::new(refusal(StatusCode::BAD_REQUEST)))?;
        let (answer, answered) = oneshot::channel();
        let responder = OsResponder {
            key,
            on_upgrade,
            answer,
            runtime: Runtime::current(),
            stop: self.stop.clone(),
        };
        let request = UpgradeRequest::new(request, Box::new(responder));
        Ok((request, Answer(answered)))
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

fn refusal(status: StatusCode) -> http::Response<HyperBody> {
    let mut response = http::Response::new(HyperBody::empty());
    *response.status_mut() = status;
    response
}

/// A guest's answer to a request for a WebSocket; `None` where it dropped the request without
/// one.
pub struct Answer(oneshot::Receiver<http::Response<HyperBody>>);

impl Future for Answer {
    type Output = Option<http::Response<HyperBody>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

struct OsResponder {
    key: String,
    on_upgrade: OnUpgrade,
    answer: oneshot::Sender<http::Response<HyperBody>>,
    runtime: Runtime,
    stop: Arc<watch::Sender<bool>>,
}

impl Responder for OsResponder {
    fn accept(
        self: Box<Self>,
        subprotocol: Option<String>,
        headers: Fields,
        limits: Limits,
    ) -> Result<Box<dyn Socket>, ErrorCode> {
        let Self {
            key,
            on_upgrade,
            answer,
            runtime,
            stop,
        } = *self;
        let response = switching(&key, subprotocol, &headers)?;
        answer
            .send(response)
            .map_err(|_| ErrorCode::ConnectionLost)?;
        let (socket, mut port) = memory::link(limits.queue);
        let mut stopped = stop.subscribe();
        runtime.handle().spawn(async move {
            let upgraded = match on_upgrade.await {
                Ok(upgraded) => TokioIo::new(upgraded),
                Err(_) => return port.end(ErrorCode::ConnectionLost),
            };
            let stop: Stop = Box::pin(async move {
                let stops = stopped.wait_for(|stop| *stop).await.is_ok();
                match stops {
                    true => stopped,
                    // The server has gone, which stops nothing.
                    false => core::future::pending().await,
                }
            });
            Driver::new(upgraded, Role::Server, port, limits, Some(stop)).await;
        });
        Ok(Box::new(socket))
    }

    fn refuse(self: Box<Self>, response: Response) {
        let response = response_to_hyper(response);
        let response = response.unwrap_or_else(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR));
        // The client may have gone.
        let _ = self.answer.send(response);
    }
}

/// The answer that accepts (RFC 6455, section 4.2.2).
fn switching(
    key: &str,
    subprotocol: Option<String>,
    headers: &Fields,
) -> Result<http::Response<HyperBody>, ErrorCode> {
    let internal = |what: &str| ErrorCode::InternalError(Some(what.into()));
    let mut response = refusal(StatusCode::SWITCHING_PROTOCOLS);
    let map = response.headers_mut();
    *map = convert::header_map(headers).map_err(|_| internal("too many fields"))?;
    map.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    map.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| internal("not a field value"));
    map.insert(header::SEC_WEBSOCKET_ACCEPT, value(key)?);
    if let Some(subprotocol) = subprotocol {
        map.insert(header::SEC_WEBSOCKET_PROTOCOL, value(&subprotocol)?);
    }
    Ok(response)
}
