//! Makes connections.

use super::driver::Driver;
use super::has_token;
use crate::os::body::HyperBody;
use crate::os::client::{Inner, OsClient};
use crate::os::connect::Stream;
use crate::os::convert::{self, Target};
use crate::os::pool::{Lease, Permit};
use crate::os::{after, error};
use crate::websocket::{Connector, ErrorCode, Established, Handshake, Limits, memory};
use crate::{BoxFuture, Method, Request, Scheme, memory as bodies};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::boxed::Box;
use std::string::{String, ToString};
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use wasi_error::http::ErrorCode as HttpCode;

/// Over HTTP/1.1, each on a connection of its own, which counts among those that the client
/// may have, its TLS and its timeouts are the client's.
impl Connector for OsClient {
    fn connect(
        &self,
        handshake: Handshake,
        limits: Limits,
    ) -> BoxFuture<Result<Established, ErrorCode>> {
        let inner = self.0.clone();
        let connect =
            (handshake.connect_timeout).map_or(inner.timeouts.connect, Duration::from_nanos);
        let request = match request(handshake) {
            Ok(request) => request,
            Err(code) => return Box::pin(core::future::ready(Err(code))),
        };
        let runtime = inner.runtime.clone();
        let task = async move {
            let deadline = after(Instant::now(), connect);
            open(inner, request, limits, deadline).await
        };
        Box::pin(Opening(runtime.handle().spawn(task)))
    }
}

/// Dropped, it gives the connection up.
struct Opening(JoinHandle<Result<Established, ErrorCode>>);

impl Future for Opening {
    type Output = Result<Established, ErrorCode>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(ended.unwrap_or_else(|error| {
            // The runtime has gone.
            Err(ErrorCode::InternalError(Some(error.to_string())))
        }))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is sent, and what must come back.
struct Opener {
    target: Target,
    request: http::Request<HyperBody>,
    accept: String,
    subprotocols: Vec<String>,
}

/// The request for `handshake` (RFC 6455, section 4.1).
fn request(handshake: Handshake) -> Result<Opener, ErrorCode> {
    let scheme = match handshake.tls {
        true => Scheme::Https,
        false => Scheme::Http,
    };
    let request = Request {
        method: Method::Get,
        scheme: Some(scheme),
        authority: Some(handshake.authority),
        path_with_query: Some(handshake.path_with_query),
        headers: handshake.headers,
        body: Box::new(bodies::Empty),
        grant: handshake.grant,
    };
    let (target, mut request) = convert::request_to_hyper(request).map_err(made)?;
    target.address(&mut request, false).map_err(made)?;
    let key = generate_key();
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| ErrorCode::InvalidArgument);
    headers.insert(header::SEC_WEBSOCKET_KEY, value(&key)?);
    if !handshake.subprotocols.is_empty() {
        let offered = value(&handshake.subprotocols.join(", "))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    Ok(Opener {
        target,
        request,
        accept: derive_accept_key(key.as_bytes()),
        subprotocols: handshake.subprotocols,
    })
}

/// Why a connection could not be made, for a guest.
fn made(code: HttpCode) -> ErrorCode {
    match code {
        HttpCode::HttpRequestDenied => ErrorCode::AccessDenied,
        HttpCode::ConnectionLimitReached => ErrorCode::ConnectionLimit,
        HttpCode::ConnectionTimeout => ErrorCode::ConnectTimeout,
        HttpCode::HttpRequestUriInvalid
        | HttpCode::HttpRequestUriTooLong
        | HttpCode::HttpRequestHeaderSectionSize(_) => ErrorCode::InvalidArgument,
        other => ErrorCode::Http(other),
    }
}

async fn open(
    inner: Arc<Inner>,
    opener: Opener,
    limits: Limits,
    deadline: Instant,
) -> Result<Established, ErrorCode> {
    let Target { origin, grant, .. } = &opener.target;
    let lease = inner.pool.lease(origin, grant.as_ref(), true);
    let lease = timeout_at(deadline, lease).await;
    let permit = match lease.map_err(|_| ErrorCode::ConnectionLimit)? {
        Lease::Open(permit) => permit,
        Lease::Reused(_) => unreachable!("a fresh connection was asked for"),
    };
    let shaken = timeout_at(deadline, shake_hands(&inner, opener, deadline)).await;
    let (io, subprotocol) = shaken.map_err(|_| ErrorCode::ConnectTimeout)??;
    let (socket, port) = memory::link(limits.queue);
    tokio::spawn(run(io, port, limits, permit));
    Ok(Established {
        socket: Box::new(socket),
        subprotocol,
    })
}

async fn run(io: Upgraded, port: memory::Port, limits: Limits, _permit: Permit) {
    Driver::new(TokioIo::new(io), Role::Client, port, limits, None).await;
}

async fn shake_hands(
    inner: &Inner,
    opener: Opener,
    deadline: Instant,
) -> Result<(Upgraded, Option<String>), ErrorCode> {
    let Opener {
        target,
        request,
        accept,
        subprotocols,
    } = opener;
    let Target { origin, grant, .. } = &target;
    let connector = &inner.connector;
    let addresses = connector.addresses(origin, grant.as_ref(), deadline).await;
    let addresses = addresses.map_err(made)?;
    let stream = connector.stream(origin, addresses, &connector.tls_http1);
    let max_head = connector.max_head as usize;
    let response = match stream.await.map_err(made)? {
        Stream::Plain(stream) => ask(TokioIo::new(stream), request, max_head).await,
        Stream::Tls(stream) => ask(TokioIo::new(stream), request, max_head).await,
    };
    let response = response.map_err(|error| made(error::of_exchange(&error)))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(ErrorCode::Refused(response.status().as_u16()));
    }
    let subprotocol = agreed(response.headers(), &accept, &subprotocols)
        .map_err(|how| ErrorCode::HandshakeFailed(Some(how.into())))?;
    let upgraded = hyper::upgrade::on(response).await;
    let upgraded = upgraded.map_err(|error| made(error::of_exchange(&error)))?;
    Ok((upgraded, subprotocol))
}

async fn ask<T>(
    io: T,
    request: http::Request<HyperBody>,
    max_head: usize,
) -> hyper::Result<http::Response<hyper::body::Incoming>>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_header_size(max_head)
        .handshake(io)
        .await?;
    // It ends with the upgrade, or when the response is dropped.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await
}

/// The subprotocol that a server agreed on (RFC 6455, section 4.1, items 2 to 6 of the second
/// list).
fn agreed(
    headers: &HeaderMap,
    accept: &str,
    offered: &[String],
) -> Result<Option<String>, &'static str> {
    if !has_token(headers, header::UPGRADE, "websocket")
        || !has_token(headers, header::CONNECTION, "upgrade")
    {
        return Err("no upgrade to WebSocket");
    }
    let told = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    if told.is_none_or(|told| told.as_bytes() != accept.as_bytes()) {
        return Err("the key was not accepted");
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err("an extension that was not asked for");
    }
    let mut chosen = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let name = match (chosen.next(), chosen.next()) {
        (None, _) => return Ok(None),
        (Some(name), None) => name.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => return Err("more than one subprotocol"),
    };
    match offered.iter().any(|offered| offered == name) {
        true => Ok(Some(name.into())),
        false => Err("a subprotocol that was not offered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_agreed_on_to_the_letter() {
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-accept", "key"),
        ];
        let told = |changed: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in good {
                headers.insert(name, HeaderValue::from_static(value));
            }
            for &(name, value) in changed {
                match value {
                    "" => drop(headers.remove(name)),
                    value => drop(headers.append(name, HeaderValue::from_static(value))),
                }
            }
            agreed(&headers, "key", &["a".into(), "b".into()])
        };
        assert_eq!(told(&[]), Ok(None));
        let chosen = ("sec-websocket-protocol", "b");
        assert_eq!(told(&[chosen]), Ok(Some("b".into())));
        for wrong in [
            &[("upgrade", "")][..],
            &[("connection", "")],
            &[("sec-websocket-accept", "")],
            &[
                ("sec-websocket-accept", ""),
                ("sec-websocket-accept", "Key"),
            ],
            &[("sec-websocket-extensions", "permessage-deflate")],
            &[("sec-websocket-protocol", "c")],
            &[("sec-websocket-protocol", "B")],
            &[chosen, chosen],
        ] {
            assert!(told(wrong).is_err(), "{wrong:?}");
        }
    }
}
