//! Requests that guests send by `client.send`.

use crate::support::http::{Body, Content, Head, Request};
use crate::support::peer::{self, Peer, Refusing};
use crate::support::server::Server;
use crate::support::{at_once, encode};
use std::io::{BufReader, Write};
use std::sync::OnceLock;
use std::sync::mpsc::channel;

fn granted() -> &'static Server {
    static GRANTED: OnceLock<Server> = OnceLock::new();
    GRANTED.get_or_init(|| Server::testbed(&["-S", "inherit-network"]))
}

fn proxy(url: &str, more: &str) -> String {
    format!("/proxy?url={}{more}", encode(url))
}

/// Answers with what it was asked, and with trailers what it got as such.
fn reflecting() -> Peer {
    Peer::new(|stream| {
        let mut input = BufReader::new(&stream);
        loop {
            let head = Head::read(&mut input)?;
            let mut body = Body::of_request(&mut input, &head);
            let (bytes, end) = body.rest();
            end?;
            let mut text = format!("{}\n", head.line);
            for (name, value) in &head.fields {
                text += &format!("{name}: {value}\n");
            }
            for (name, value) in &body.trailers {
                text += &format!("trailer {name}: {value}\n");
            }
            text += &format!("\n{}", String::from_utf8_lossy(&bytes));
            let status = match head.line.contains("teapot") {
                true => "418 I'm a teapot",
                false => "200 OK",
            };
            (&stream).write_all(
                format!(
                    "HTTP/1.1 {status}\r\nX-Peer: yes\r\nTrailer: X-Sum\r\n\
                     Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\nX-Sum: 1f\r\n\r\n",
                    text.len()
                )
                .as_bytes(),
            )?;
        }
    })
}

#[test]
fn requests_arrive_as_the_guest_made_them_and_responses_come_back_with_trailers_both_ways() {
    let peer = reflecting();
    let address = peer.address;
    let response = granted().request(&Request {
        fields: &[("X-Mine", "1"), ("Trailer", "X-Given"), ("TE", "trailers")],
        content: Content::Chunks(b"content", &[("X-Given", "2")]),
        ..Request::new("PUT", &proxy(&format!("http://{address}/a/b?c=d"), ""))
    });
    let (status, text) = response.told();
    assert_eq!(status, 200, "{text}");
    assert_eq!(response.field("x-peer"), Some("yes"));
    assert!(text.starts_with("PUT /a/b?c=d HTTP/1.1\n"), "{text}");
    for line in [
        &format!("host: {address}"),
        "x-mine: 1",
        "trailer x-given: 2",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    assert!(text.ends_with("\n\ncontent"), "{text}");
    assert_eq!(response.trailers, [("x-sum".to_string(), "1f".to_string())]);
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
fn each_piece_of_a_response_passes_before_the_next_comes() {
    let (tell, told) = channel::<&[u8]>();
    let told = std::sync::Mutex::new(told);
    let peer = Peer::new(peer::after_head(move |mut stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n0")?;
        for digit in told.lock().unwrap().iter() {
            stream.write_all(digit)?;
        }
        Ok(())
    }));
    let mut connection = granted().connect();
    let (head, mut body) = connection.begin(&proxy(&format!("http://{}/", peer.address), ""));
    assert_eq!(head.status(), 200);
    assert_eq!(body.text(1), "0");
    for digit in [b"1", b"2", b"3"] {
        tell.send(digit).unwrap();
        assert_eq!(body.text(1).as_bytes(), digit);
    }
    let (rest, end) = body.rest();
    assert!(rest.is_empty() && end.is_ok(), "{end:?}");
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
fn a_request_that_is_dropped_ends_its_connection_and_the_guest_is_told() {
    let peer = Peer::new(peer::silent);
    let target = format!(
        "/abandon?ms=200&url={}",
        encode(format!("http://{}/", peer.address))
    );
    assert_eq!(granted().get(&target).told(), (200, "abandoned true\n"));
    peer.wait_until_finished(1);
}

#[test]
fn without_the_grant_requests_are_denied() {
    let peer = reflecting();
    let server = Server::testbed(&["-S", "cli"]);
    let response = server.get(&proxy(&format!("http://{}/", peer.address), ""));
    assert_eq!(response.told(), (502, "ErrorCode::HttpRequestDenied\n"));
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn each_failure_before_the_head_has_its_code() {
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
    let (other, _other) = says("SSH-2.0-something\r\n\r\n");
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
        (&other, "", "ErrorCode::HttpProtocolError"),
    ] {
        let response = granted().get(&proxy(url, more));
        let (status, text) = response.told();
        assert_eq!(status, 502, "{url}: {text}");
        assert!(text.starts_with(code), "{url}: {text}");
    }
}

#[test]
fn a_response_that_is_cut_off_is_cut_off_for_the_client_too() {
    let peer = Peer::new(peer::says(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ));
    let response = granted().get(&proxy(&format!("http://{}/", peer.address), ""));
    assert_eq!(response.status(), 200);
    assert_eq!(response.body, b"half");
    assert!(response.end.is_err());
}
