//! Requests that guests send.

use crate::support::http::{Body, Content, Head, Request};
use crate::support::peer::{self, Peer, Refusing};
use crate::support::server::Server;
use crate::support::{at_once, encode};
use std::io::Write;
use std::sync::OnceLock;

fn granted() -> &'static Server {
    static GRANTED: OnceLock<Server> = OnceLock::new();
    GRANTED.get_or_init(|| Server::guest("testbed", &["-S", "inherit-network"]))
}

fn proxy(url: &str, more: &str) -> String {
    format!("/proxy?url={}{more}", encode(url))
}

/// Answers with what it was asked.
fn reflecting() -> Peer {
    Peer::new(peer::http(|head, body| {
        let mut text = format!("{}\n", head.line);
        for (name, value) in &head.fields {
            text += &format!("{name}: {value}\n");
        }
        text += &format!("\n{}", String::from_utf8(body).unwrap());
        let status = if text.contains("teapot") {
            "418 I'm a teapot"
        } else {
            "200 OK"
        };
        format!(
            "HTTP/1.1 {status}\r\nX-Peer: yes\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
    }))
}

#[test]
fn requests_arrive_as_the_guest_made_them_and_responses_come_back() {
    let peer = reflecting();
    let address = peer.address;
    let response = granted().request(&Request {
        fields: &[("X-Mine", "1")],
        content: Content::Length(b"content"),
        ..Request::new("PUT", &proxy(&format!("http://{address}/a/b?c=d"), ""))
    });
    let (status, text) = response.told();
    assert_eq!(status, 200, "{text}");
    assert_eq!(response.field("x-peer"), Some("yes"));
    assert!(text.starts_with("PUT /a/b?c=d HTTP/1.1\n"), "{text}");
    assert!(text.contains(&format!("host: {address}\n")), "{text}");
    assert!(text.contains("x-mine: 1\n"), "{text}");
    assert!(text.ends_with("\n\ncontent"), "{text}");
    let response = granted().get(&proxy(&format!("http://{address}/teapot"), ""));
    assert_eq!(response.status(), 418);
}

#[test]
fn big_bodies_pass_both_ways() {
    let peer = reflecting();
    let content = "0123456789abcdef".repeat(1 << 16);
    let response = granted().request(&Request {
        content: Content::Chunks(content.as_bytes(), &[]),
        ..Request::new("POST", &proxy(&format!("http://{}/", peer.address), ""))
    });
    assert_eq!(response.status(), 200);
    assert!(
        response.text().ends_with(&content),
        "{} other bytes",
        response.body.len()
    );
}

#[test]
fn a_client_that_waits_to_be_told_is_told_when_the_guest_reads() {
    let peer = reflecting();
    let target = proxy(&format!("http://{}/", peer.address), "");
    let mut connection = granted().connect();
    connection.send(format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    ));
    let head = Head::read(&mut connection.input).unwrap();
    assert_eq!(head.line, "HTTP/1.1 100 Continue");
    assert_eq!(head.fields, []);
    connection.send("rest");
    let head = Head::read(&mut connection.input).unwrap();
    let (bytes, end) = Body::of_response(&mut connection.input, &head, "POST").rest();
    assert!(
        end.is_ok() && bytes.ends_with(b"\n\nrest"),
        "{:?}",
        bytes.escape_ascii()
    );
}

#[test]
fn trailers_of_a_response_reach_the_guest() {
    let peer = Peer::new(peer::says(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 1f\r\n\r\n",
    ));
    let response = granted().get(&proxy(&format!("http://{}/", peer.address), ""));
    assert_eq!(response.told(), (200, "hello"));
    assert_eq!(response.field("x-trailer-x-sum"), Some("1f"));
}

#[test]
fn connections_are_reused_by_the_next_request() {
    let peer = reflecting();
    let target = proxy(&format!("http://{}/", peer.address), "");
    // On one connection, and so by one of the server's cores.
    let mut connection = granted().connect();
    for _ in 0..20 {
        assert_eq!(connection.get(&target).status(), 200);
    }
    assert!(peer.accepted() <= 2, "{} connections", peer.accepted());
}

#[test]
fn many_requests_at_once_each_get_their_own_response() {
    let peer = reflecting();
    at_once(32, |i| {
        let response = granted().get(&proxy(&format!("http://{}/{i}/", peer.address), ""));
        let text = response.text();
        assert!(text.starts_with(&format!("GET /{i}/ HTTP/1.1\n")), "{text}");
    });
}

#[test]
fn without_the_grant_requests_are_denied() {
    let peer = reflecting();
    let server = Server::guest("testbed", &["-S", "cli"]);
    let response = server.get(&proxy(&format!("http://{}/", peer.address), ""));
    assert_eq!(response.told(), (502, "ErrorCode::HttpRequestDenied\n"));
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn each_failure_has_its_code() {
    let refusing = Refusing::new();
    let refusing = format!("http://127.0.0.1:{}/", refusing.port);
    let says = |text| {
        let peer = Peer::new(peer::says(text));
        (format!("http://{}/", peer.address), peer)
    };
    let silent = Peer::new(peer::silent);
    let silent = format!("http://{}/", silent.address);
    let tls = silent.replace("http:", "https:");
    let (closing, _closing) = says("");
    let (half, _half) = says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    let (other, _other) = says("SSH-2.0-something\r\n\r\n");
    // What it pours is no TLS.
    let no_tls = Peer::new(peer::pour(1000));
    let no_tls = format!("https://{}/", no_tls.address);
    let reset = Peer::new(peer::reset);
    let reset = format!("http://{}/", reset.address);
    let stalling = Peer::new(peer::after_head(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")?;
        peer::drain(&stream)
    }));
    let stalling = format!("http://{}/", stalling.address);
    for (url, more, code) in [
        (refusing.as_str(), "", "ErrorCode::ConnectionRefused"),
        ("http://nowhere.invalid/", "", "ErrorCode::DnsError("),
        (
            "gopher://127.0.0.1/",
            "",
            "ErrorCode::HttpRequestUriInvalid",
        ),
        (&silent, "&first=200", "ErrorCode::HttpResponseTimeout"),
        (&tls, "&connect=200", "ErrorCode::ConnectionTimeout"),
        (&closing, "", "ErrorCode::ConnectionTerminated"),
        (&reset, "", "ErrorCode::ConnectionTerminated"),
        (&other, "", "ErrorCode::HttpProtocolError"),
        (&no_tls, "", "ErrorCode::TlsProtocolError"),
        (&half, "", "body ErrorCode::HttpResponseIncomplete"),
        (
            &stalling,
            "&between=200",
            "body ErrorCode::ConnectionReadTimeout",
        ),
    ] {
        let response = granted().get(&proxy(url, more));
        let (status, text) = response.told();
        assert_eq!(status, 502, "{url}: {text}");
        assert!(text.starts_with(code), "{url}: {text}");
    }
}
