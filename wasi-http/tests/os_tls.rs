//! The client over TLS, against rustls and hyper on loopback.
#![cfg(feature = "std")]

mod os_support;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use os_support::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wasi_error::http::ErrorCode;
use wasi_http::os::{HyperBody, request_from_hyper, response_to_hyper};
use wasi_http::{
    Body, Client, Fields, Frame, Method, Request, RequestOptions, Response, Scheme,
    TlsAlertReceivedPayload,
};
use wasi_io::os::Runtime;
use wasi_sockets::NetworkPolicy;

/// A certificate for `localhost` and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    Identity {
        certificate: made.cert.der().clone(),
        key: PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
    }
}

struct Server {
    port: u16,
    root: Vec<u8>,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Echoes over what ALPN agrees on of `protocols`; `ask` wants a certificate of clients.
    fn new(protocols: &[&str], ask: bool) -> Self {
        let Identity { certificate, key } = identity();
        let root = certificate.to_vec();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // In 1.3 the handshake is over for the client before its certificate is looked at.
        let versions: &[_] = match ask {
            true => &[&rustls::version::TLS12],
            false => rustls::ALL_VERSIONS,
        };
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap();
        let config = match ask {
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
            false => config.with_no_client_auth(),
        };
        let mut config = config.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let runtime = Runtime::current();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        runtime.handle().spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let (stream, echo) = (TokioIo::new(stream), service_fn(echo));
                    // The client may be gone before the end.
                    let _ = match h2 {
                        true => {
                            let http = http2::Builder::new(TokioExecutor::new());
                            http.serve_connection(stream, echo).await
                        }
                        false => http1::Builder::new().serve_connection(stream, echo).await,
                    };
                });
            }
        });
        Self {
            port,
            root,
            accepted,
        }
    }

    fn request(&self, method: Method, body: impl Body) -> Request {
        let authority = format!("localhost:{}", self.port);
        Request {
            scheme: Some(Scheme::Https),
            ..request(method, &authority, "/path?query", body)
        }
    }

    fn client(&self) -> wasi_http::os::OsClient {
        builder().root(self.root.clone()).build().unwrap()
    }
}

/// The request's content and trailers, and what else it was as header fields.
async fn echo(request: http::Request<Incoming>) -> Result<http::Response<HyperBody>, ErrorCode> {
    let version = format!("{:?}", request.version());
    let request = request_from_hyper(request, Scheme::Https)?;
    let mut headers = Fields::new();
    for (name, value) in [
        ("x-version", version),
        ("x-method", format!("{:?}", request.method)),
        ("x-authority", request.authority.unwrap_or_default()),
        ("x-path", request.path_with_query.unwrap_or_default()),
    ] {
        headers.append(name, value).unwrap();
    }
    response_to_hyper(Response {
        status: 200,
        headers,
        body: request.body,
    })
}

#[test]
fn an_authority_that_is_trusted_vouches_for_the_peer() {
    let server = Server::new(&["http/1.1"], false);
    let client = server.client();
    let response = send(&client, server.request(Method::Get, Parts::none())).unwrap();
    for (name, value) in [
        ("x-version", "HTTP/1.1"),
        ("x-method", "Get"),
        ("x-authority", &format!("localhost:{}", server.port)),
        ("x-path", "/path?query"),
    ] {
        assert_eq!(response.headers.get(name).unwrap(), value);
    }
    let echoed = content(&client, server.request(Method::Post, Parts::of("hello")));
    assert_eq!(echoed.as_deref(), Ok("hello"));
}

#[test]
fn a_peer_without_alpn_speaks_http_1() {
    let server = Server::new(&[], false);
    let client = server.client();
    let response = send(&client, server.request(Method::Get, Parts::none())).unwrap();
    assert_eq!(response.headers.get("x-version").unwrap(), "HTTP/1.1");
}

#[test]
fn alpn_chooses_http_2_and_requests_share_its_connection() {
    let server = Server::new(&["h2", "http/1.1"], false);
    let client = server.client();
    let response = send(&client, server.request(Method::Get, Parts::none())).unwrap();
    for (name, value) in [
        ("x-version", "HTTP/2.0"),
        ("x-authority", &format!("localhost:{}", server.port)),
        ("x-path", "/path?query"),
    ] {
        assert_eq!(response.headers.get(name).unwrap(), value);
    }
    // All are open at once.
    let open = [(); 8].map(|()| {
        let (sender, body) = stream();
        let response = send(&client, server.request(Method::Post, body)).unwrap();
        (sender, response)
    });
    for (n, (sender, response)) in open.into_iter().enumerate() {
        let mut trailers = Fields::new();
        trailers.append("x-n", n.to_string()).unwrap();
        sender.send(Ok(data("hello"))).unwrap();
        sender.send(Ok(Frame::Trailers(trailers))).unwrap();
        drop(sender);
        let (content, trailers) = pollster::block_on(collect(response.body)).unwrap();
        assert_eq!(content, "hello");
        assert_eq!(*trailers.unwrap().get("x-n").unwrap(), n.to_string());
    }
    assert_eq!(server.accepted.load(Ordering::SeqCst), 1);
}

#[test]
fn an_http_2_connection_is_not_shared_with_who_may_not_go_there() {
    let server = Server::new(&["h2"], false);
    let client = server.client();
    let authority = format!("localhost:{}", server.port);
    let policy = |rule: &str| NetworkPolicy::new().allow(rule.parse().unwrap());
    let (one, _) = policed(client.clone(), policy("localhost"));
    let (many, refusals) = policed(client, policy("*"));
    for _ in 0..2 {
        assert_eq!(fetch(&one, None, &authority), Ok(200));
        let denied = fetch(&many, None, &authority);
        assert_eq!(denied, Err(ErrorCode::HttpRequestDenied));
    }
    assert_eq!(refusals.lock().unwrap().len(), 2);
    assert_eq!(server.accepted.load(Ordering::SeqCst), 1);
}

#[test]
fn http_2_is_not_spoken_where_it_is_switched_off() {
    let server = Server::new(&["h2", "http/1.1"], false);
    let client = builder()
        .root(server.root.clone())
        .http2(false)
        .build()
        .unwrap();
    let response = send(&client, server.request(Method::Get, Parts::none())).unwrap();
    assert_eq!(response.headers.get("x-version").unwrap(), "HTTP/1.1");
}

#[test]
fn a_request_without_a_scheme_goes_over_tls() {
    let server = Server::new(&[], false);
    let mut request = server.request(Method::Get, Parts::none());
    request.scheme = None;
    assert_eq!(send(&server.client(), request).unwrap().status, 200);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let server = Server::new(&[], false);
    let code = send(&client(), server.request(Method::Get, Parts::none())).err();
    assert_eq!(code, Some(ErrorCode::TlsCertificateError));
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let server = Server::new(&[], false);
    let mut request = server.request(Method::Get, Parts::none());
    request.authority = Some(format!("127.0.0.1:{}", server.port));
    let code = send(&server.client(), request).err();
    assert_eq!(code, Some(ErrorCode::TlsCertificateError));
}

#[test]
fn an_alert_of_the_peer_is_passed_on() {
    for (server, id, message) in [
        (Server::new(&["other"], false), 120, "NoApplicationProtocol"),
        (Server::new(&[], true), 116, "CertificateRequired"),
    ] {
        let code = send(&server.client(), server.request(Method::Get, Parts::none())).err();
        let Some(ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
            alert_id: Some(alert),
            alert_message: Some(text),
        })) = code
        else {
            panic!("{message}: {code:?}");
        };
        assert_eq!((alert, text.as_str()), (id, message));
    }
}

#[test]
fn a_peer_that_speaks_no_tls_is_a_protocol_error() {
    let peer = Peer::new(|mut connection, _| {
        connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        connection.closed();
    });
    let mut request = peer.get("/");
    request.scheme = Some(Scheme::Https);
    assert_eq!(
        send(&client(), request).err(),
        Some(ErrorCode::TlsProtocolError)
    );
}

#[test]
fn a_root_that_is_no_certificate_is_an_error() {
    assert!(builder().root(*b"nonsense").build().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_serves_many_requests_at_once() {
    let server = Server::new(&["http/1.1"], false);
    let client = builder()
        .root(server.root.clone())
        .max_connections(4)
        .build()
        .unwrap();
    let requests: Vec<_> = (0..64)
        .map(|n| {
            let request = server.request(Method::Post, Parts::of(&format!("n{n}")));
            let answer = client.send(request, RequestOptions::default());
            tokio::spawn(async move { collect(answer.await?.body).await.map(|(text, _)| text) })
        })
        .collect();
    for (n, request) in requests.into_iter().enumerate() {
        assert_eq!(request.await.unwrap(), Ok(format!("n{n}")));
    }
    // Who waited was given a connection that another was done with.
    assert!(server.accepted.load(Ordering::SeqCst) <= 4);
}
