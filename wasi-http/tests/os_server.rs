//! What a server on hyper passes on and sends.
#![cfg(feature = "std")]

mod os_support;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use os_support::*;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use wasi_error::http::ErrorCode;
use wasi_http::os::{HyperBody, request_from_hyper, response_to_hyper};
use wasi_http::{Body, Fields, Frame, Response, Scheme};

/// Keeps each write apart.
struct Written(DuplexStream, Arc<Mutex<Vec<String>>>);

impl AsyncRead for Written {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Written {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let text = String::from_utf8(buf.to_vec()).unwrap();
        self.1.lock().unwrap().push(text);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

type Answer = Result<wasi_http::Request, ErrorCode>;

/// What a server writes that receives `request` and answers with `body`, and what it received.
async fn exchange(request: &str, body: impl Body) -> (Vec<String>, Answer) {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let writes = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::new(Mutex::new(None));
    let body = Arc::new(Mutex::new(Some(body)));
    let service = service_fn(|request: http::Request<Incoming>| {
        let request = request_from_hyper(request, Scheme::Http);
        *received.lock().unwrap() = Some(request);
        let mut headers = Fields::new();
        headers.append("date", "x").unwrap();
        headers.append("trailer", "x-sum").unwrap();
        let body = body.lock().unwrap().take().unwrap();
        let response = response_to_hyper(Response {
            status: 200,
            headers,
            body: Box::new(body),
        });
        async { response as Result<http::Response<HyperBody>, ErrorCode> }
    });
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let io = TokioIo::new(Written(server, writes.clone()));
    http1::Builder::new()
        .half_close(true)
        .serve_connection(io, service)
        .await
        .unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    let writes = std::mem::take(&mut *writes.lock().unwrap());
    let received = received.lock().unwrap().take().unwrap();
    (writes, received)
}

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: one.example:80\r\nX-A: 1\r\n\r\n";

#[tokio::test]
async fn a_body_that_is_there_goes_out_with_its_head_in_one_write() {
    let (writes, _) = exchange(GET, Parts::of("hello")).await;
    assert_eq!(
        writes,
        ["HTTP/1.1 200 OK\r\ndate: x\r\ntrailer: x-sum\r\ncontent-length: 5\r\n\r\nhello"]
    );
}

#[tokio::test]
async fn a_body_without_content_has_length_0() {
    let (writes, _) = exchange(GET, Parts::none()).await;
    let text = writes.concat();
    assert!(text.ends_with("content-length: 0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn announced_trailers_follow_content_of_unknown_length() {
    let mut trailers = Fields::new();
    trailers.append("x-sum", "5").unwrap();
    let body = Parts::new([data("hello"), Frame::Trailers(trailers)], false);
    // hyper sends them to who says that it reads them (RFC 9110, section 6.5.1).
    let get = GET.replace("X-A: 1", "TE: trailers");
    let text = exchange(&get, body).await.0.concat();
    assert!(text.contains("transfer-encoding: chunked\r\n"), "{text}");
    assert!(
        text.ends_with("5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_request_has_its_target_and_fields() {
    let request = exchange(GET, Parts::none()).await.1.unwrap();
    assert_eq!(request.method, wasi_http::Method::Get);
    assert_eq!(request.scheme, Some(Scheme::Http));
    assert_eq!(request.authority.as_deref(), Some("one.example:80"));
    assert_eq!(request.path_with_query.as_deref(), Some("/a?b"));
    assert_eq!(request.headers.get("x-a").unwrap(), "1");
    assert!(request.body.is_end());
    assert_eq!(request.body.remaining(), Some(0));
}

#[tokio::test]
async fn a_target_with_an_authority_comes_before_the_host() {
    let text = "GET http://two.example/ HTTP/1.1\r\nhost: one.example\r\n\r\n";
    let request = exchange(text, Parts::none()).await.1.unwrap();
    assert_eq!(request.authority.as_deref(), Some("two.example"));
    assert_eq!(request.path_with_query.as_deref(), Some("/"));
}

#[tokio::test]
async fn a_request_has_one_host() {
    for (head, valid) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", true),
        ("GET / HTTP/1.1\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", false),
    ] {
        let code = exchange(head, Parts::none()).await.1.err();
        let expected = (!valid).then_some(ErrorCode::HttpProtocolError);
        assert_eq!(code, expected, "{head:?}");
    }
}
