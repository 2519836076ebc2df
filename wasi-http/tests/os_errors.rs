//! What the client says when a peer, or a request, is not as it should be.
#![cfg(feature = "std")]

mod os_support;

use os_support::*;
use std::net::TcpListener;
use std::sync::mpsc::channel;
use wasi_error::http::ErrorCode;
use wasi_http::{Client, Method, Request, RequestOptions, Scheme};

/// What a GET gives whose peer answers with `text` and then closes.
fn answered(text: &'static str) -> Result<String, ErrorCode> {
    let peer = Peer::new(move |mut connection, _| {
        connection.head();
        connection.send(text);
    });
    content(&client(), peer.get("/"))
}

#[test]
fn a_port_where_nothing_listens_refuses() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let request = request(Method::Get, &address.to_string(), "/", Parts::none());
    assert_eq!(
        content(&client(), request),
        Err(ErrorCode::ConnectionRefused)
    );
}

#[test]
fn a_name_that_is_not_there_is_a_dns_error() {
    // RFC 6761, section 6.4.
    let request = request(Method::Get, "nowhere.invalid", "/", Parts::none());
    match content(&client(), request) {
        Err(ErrorCode::DnsError(payload)) => assert!(payload.rcode.is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_peer_that_ends_the_connection_early_has_its_code() {
    use ErrorCode::{ConnectionTerminated, HttpProtocolError, HttpResponseIncomplete};
    for (text, code) in [
        ("", ConnectionTerminated),
        ("HTTP/1.1 200 OK\r\nx-half", ConnectionTerminated),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal",
            HttpResponseIncomplete,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhal",
            HttpResponseIncomplete,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhal\r\n",
            HttpResponseIncomplete,
        ),
        ("SSH-2.0-something\r\n\r\n", HttpProtocolError),
        ("HTTP/1.1 abc OK\r\n\r\n", HttpProtocolError),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            HttpProtocolError,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnope\r\n",
            HttpProtocolError,
        ),
    ] {
        assert_eq!(answered(text), Err(code), "{text:?}");
    }
}

#[test]
fn content_without_a_length_ends_with_the_connection() {
    assert_eq!(
        answered("HTTP/1.1 200 OK\r\n\r\nhello").as_deref(),
        Ok("hello")
    );
}

#[test]
fn an_upgrade_that_nobody_asked_for_fails() {
    let code = answered("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n");
    assert_eq!(code, Err(ErrorCode::HttpUpgradeFailed));
}

#[test]
fn a_head_over_the_limit_is_refused() {
    let peer = Peer::new(|mut connection, _| {
        connection.head();
        connection.send(&format!(
            "HTTP/1.1 200 OK\r\nx: {}\r\n\r\n",
            "y".repeat(9000)
        ));
        connection.closed();
    });
    let client = builder().max_response_head(8192).build().unwrap();
    let code = content(&client, peer.get("/"));
    assert_eq!(code, Err(ErrorCode::HttpResponseHeaderSectionSize(None)));
}

#[test]
fn a_peer_that_never_answers_times_out() {
    let peer = Peer::new(|mut connection, _| connection.closed());
    let options = RequestOptions {
        first_byte_timeout: Some(50_000_000),
        ..RequestOptions::default()
    };
    let answer = pollster::block_on(client().send(peer.get("/"), options)).err();
    assert_eq!(answer, Some(ErrorCode::HttpResponseTimeout));
}

#[test]
fn a_tls_handshake_counts_as_connecting() {
    let peer = Peer::new(|mut connection, _| connection.closed());
    let mut request = peer.get("/");
    request.scheme = Some(Scheme::Https);
    let options = RequestOptions {
        connect_timeout: Some(50_000_000),
        ..RequestOptions::default()
    };
    let answer = pollster::block_on(client().send(request, options)).err();
    assert_eq!(answer, Some(ErrorCode::ConnectionTimeout));
}

#[test]
fn a_body_that_stalls_times_out() {
    let peer = Peer::new(|mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
        connection.closed();
    });
    let options = RequestOptions {
        between_bytes_timeout: Some(50_000_000),
        ..RequestOptions::default()
    };
    let client = client();
    let response = pollster::block_on(client.send(peer.get("/"), options)).unwrap();
    let code = pollster::block_on(collect(response.body)).err();
    assert_eq!(code, Some(ErrorCode::ConnectionReadTimeout));
}

#[test]
fn parts_that_come_in_time_do_not_add_up_to_a_timeout() {
    let (more, wanted) = channel();
    let wanted = std::sync::Mutex::new(wanted);
    let peer = Peer::new(move |mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n");
        for () in wanted.lock().unwrap().iter() {
            connection.send("x");
        }
    });
    // Six waits of 100 ms each, against a timeout of 400 ms for one.
    let options = RequestOptions {
        between_bytes_timeout: Some(400_000_000),
        ..RequestOptions::default()
    };
    let client = client();
    let response = pollster::block_on(client.send(peer.get("/"), options)).unwrap();
    std::thread::spawn(move || {
        for _ in 0..6 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            more.send(()).unwrap();
        }
    });
    let (content, _) = pollster::block_on(collect(response.body)).unwrap();
    assert_eq!(content, "xxxxxx");
}

#[test]
fn a_request_that_says_nothing_has_the_limits_of_the_client() {
    let peer = Peer::new(|mut connection, _| connection.closed());
    let client = builder()
        .first_byte_timeout(std::time::Duration::from_millis(50))
        .build()
        .unwrap();
    let code = content(&client, peer.get("/"));
    assert_eq!(code, Err(ErrorCode::HttpResponseTimeout));
}

#[test]
fn a_request_that_cannot_be_sent_says_why() {
    type Change = fn(&mut Request);
    let peer = Peer::new(|_, _| {});
    let cases: [(Change, ErrorCode); 8] = [
        (|r| r.authority = None, ErrorCode::HttpRequestUriInvalid),
        (
            |r| r.authority = Some("a b".into()),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            |r| r.path_with_query = Some("a".into()),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            |r| r.path_with_query = Some("/a".repeat(40_000)),
            ErrorCode::HttpRequestUriTooLong,
        ),
        (
            |r| r.scheme = Some(Scheme::Other("gopher".into())),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            |r| r.method = Method::Other("a b".into()),
            ErrorCode::HttpRequestMethodInvalid,
        ),
        (
            |r| r.method = Method::Connect,
            ErrorCode::HttpRequestMethodInvalid,
        ),
        (
            |r| r.headers.append("content-length", "x").unwrap(),
            ErrorCode::HttpProtocolError,
        ),
    ];
    for (change, code) in cases {
        let mut request = peer.get("/");
        change(&mut request);
        assert_eq!(send(&client(), request).err(), Some(code));
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn the_error_of_a_request_body_is_the_error_of_the_exchange() {
    let peer = Peer::new(|mut connection, _| connection.closed());
    let (content, body) = stream();
    let client = client();
    let answer = client.send(peer.post("/", body), RequestOptions::default());
    content.send(Ok(data("some"))).unwrap();
    content.send(Err(ErrorCode::LoopDetected)).unwrap();
    let code = pollster::block_on(answer).err();
    assert_eq!(code, Some(ErrorCode::LoopDetected));
}

#[test]
fn less_content_than_promised_is_an_error_of_the_request() {
    let peer = Peer::new(|mut connection, _| connection.closed());
    let mut request = peer.post("/", Parts::new([data("some")], false));
    request.headers.append("content-length", "9").unwrap();
    let code = send(&client(), request).err();
    assert_eq!(code, Some(ErrorCode::HttpRequestBodySize(None)));
}
