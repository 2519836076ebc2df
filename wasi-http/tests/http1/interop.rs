//! With hyper at the other end, over sockets of this machine.

use crate::support::{data, fields, read};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use wasi_clocks::WasiClocksCtx;
use wasi_http::http1::{Http1Client, Http1Server, Spawn, Stop};
use wasi_http::memory::{Empty, Frames, Full};
use wasi_http::os::{OsClient, request_from_hyper, response_to_hyper};
use wasi_http::{
    Body, BoxFuture, Client, Fields, Frame, Method, Request, RequestOptions, Response, Scheme,
};
use wasi_sockets::os::OsNetwork;
use wasi_sockets::{IpAddressFamily, Network};

fn spawn() -> Arc<dyn Spawn> {
    Arc::new(|task: BoxFuture<()>| {
        tokio::spawn(task);
    })
}

/// What it was sent, with the number of fields that it was sent.
async fn echo(request: Request) -> Response {
    let method = request.method.as_str().to_string();
    let mut headers = Fields::new();
    headers.append("x-method", method).unwrap();
    let mut parts = vec![];
    let read = read(request.body).await;
    parts.push(Ok(Frame::Data(read.content.into())));
    if let Some(trailers) = read.trailers {
        headers.append("trailer", "x-t").unwrap();
        parts.push(Ok(Frame::Trailers(trailers)));
    }
    let parts = parts.into_iter().filter(|part| match part {
        Ok(Frame::Data(data)) => !data.is_empty(),
        _ => true,
    });
    Response {
        status: 203,
        headers,
        body: Box::new(Frames::new(parts)),
    }
}

/// Sends one of each kind to [`echo`], several times, and checks what comes back.
async fn converse(client: &dyn Client, address: SocketAddr) {
    let large = "x".repeat(300_000);
    let trailed = || {
        let trailers = fields(&[("x-t", "1")]);
        Frames::new([data("abc"), data("de"), Ok(Frame::Trailers(trailers))])
    };
    for _ in 0..3 {
        let bodies: [(Method, Box<dyn Body>, &str, bool); 5] = [
            (Method::Get, Box::new(Empty), "", false),
            (Method::Head, Box::new(Empty), "", false),
            (Method::Post, Box::new(Full::new("abc")), "abc", false),
            (
                Method::Put,
                Box::new(Full::new(large.clone())),
                &large,
                false,
            ),
            (Method::Post, Box::new(trailed()), "abcde", true),
        ];
        for (method, body, content, trailed) in bodies {
            let mut headers = Fields::new();
            if trailed {
                headers.append("trailer", "x-t").unwrap();
                headers.append("te", "trailers").unwrap();
            }
            let request = Request {
                method: method.clone(),
                scheme: Some(Scheme::Http),
                authority: Some(address.to_string()),
                path_with_query: Some("/x?y".into()),
                headers,
                body,
                grant: None,
            };
            let response = client.send(request, RequestOptions::default()).await;
            let response = response.unwrap_or_else(|code| panic!("{method:?}: {code}"));
            assert_eq!(response.status, 203);
            assert_eq!(response.headers.get("x-method").unwrap(), method.as_str());
            let read = read(response.body).await;
            assert_eq!(read.error, None, "{method:?}");
            assert!(read.content == content.as_bytes(), "{method:?}");
            let trailers = trailed.then(|| fields(&[("x-t", "1")]));
            assert_eq!(read.trailers, trailers, "{method:?}");
        }
    }
}

#[tokio::test]
async fn hypers_client_is_served() {
    let mut socket = OsNetwork::current()
        .tcp_socket(IpAddressFamily::Ipv4)
        .unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    poll_fn(|cx| socket.poll_bind(cx, any)).await.unwrap();
    let listener = poll_fn(|cx| socket.poll_listen(cx, 16)).await.unwrap();
    let address = listener.local_address().unwrap();
    let stop = Stop::new();
    let server = Http1Server::new(WasiClocksCtx::default());
    let running = server.run(listener, spawn(), Arc::new(echo), stop.clone());
    let running = tokio::spawn(running);
    converse(&OsClient::default(), address).await;
    stop.stop();
    running.await.unwrap();
}

#[tokio::test]
async fn hypers_server_is_asked() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = service_fn(|request| async {
                let request = request_from_hyper(request, Scheme::Http).unwrap();
                let response = response_to_hyper(echo(request).await).unwrap();
                Ok::<_, Infallible>(response)
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answers);
            tokio::spawn(connection);
        }
    });
    let network = Arc::new(OsNetwork::current());
    let client = Http1Client::new(network, WasiClocksCtx::default(), spawn());
    converse(&client, address).await;
    serving.abort();
}
