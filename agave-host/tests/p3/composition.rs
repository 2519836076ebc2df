//! A component that was made of two: a middleware, and the testbed behind it.

use crate::support::http::{Body, Content, Head, Request};
use crate::support::peer::{self, Peer};
use crate::support::server::Server;
use std::sync::OnceLock;

fn composed() -> &'static Server {
    static COMPOSED: OnceLock<Server> = OnceLock::new();
    COMPOSED.get_or_init(|| Server::guest("composed_p3", &[]))
}

#[test]
fn a_request_passes_through_the_middleware_both_ways() {
    let response = composed().request(&Request {
        fields: &[("X-Own", "1")],
        ..Request::new("PATCH", "/headers?a=b")
    });
    let (status, text) = response.told();
    assert_eq!(status, 200, "{text}");
    for line in [
        "method: Method::Patch",
        "scheme: Some(Scheme::Http)",
        "authority: Some(\"agave.test\")",
        "path: Some(\"/headers?a=b\")",
        "header x-own: 1",
        "header x-middleware: request",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    assert_eq!(response.field("x-middleware"), Some("response"));
    assert_eq!(composed().get("/status?code=418").status(), 418);
}

#[test]
fn what_the_middleware_answers_itself_does_not_reach_the_service() {
    let response = composed().get("/middleware");
    assert_eq!(response.told(), (200, ""));
    assert_eq!(response.field("x-middleware"), Some("own"));
}

#[test]
fn bodies_and_trailers_pass_through_both() {
    let content = vec![b'x'; 5 << 20];
    for target in ["/echo", "/pass"] {
        let response = composed().request(&Request {
            fields: &[("TE", "trailers"), ("Trailer", "X-Sum")],
            content: Content::Chunks(&content, &[("X-Sum", "1f")]),
            ..Request::new("POST", target)
        });
        assert_eq!(response.status(), 200, "{target}");
        assert!(response.end.is_ok() && response.body == content, "{target}");
        assert_eq!(response.trailers, [("x-sum".to_string(), "1f".to_string())]);
    }
}

#[test]
fn a_failure_of_the_service_is_one_of_the_whole() {
    let server = Server::guest("composed_p3", &["--timeout", "1s"]);
    for (target, status) in [
        ("/trap", 500),
        ("/error", 500),
        ("/never", 500),
        ("/hello", 200),
    ] {
        assert_eq!(server.get(target).status(), status, "{target}");
    }
}

#[test]
fn the_next_handler_of_a_middleware_alone_is_the_network() {
    let peer = Peer::new(peer::says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
    for (flags, status) in [(&["-S", "inherit-network"][..], 200), (&[], 500)] {
        let server = Server::guest("middleware_p3", flags);
        let mut connection = server.connect();
        connection.send(format!("GET /a HTTP/1.1\r\nHost: {}\r\n\r\n", peer.address));
        let head = Head::read(&mut connection.input).unwrap();
        assert_eq!(head.status(), status, "{flags:?}");
        if status == 200 {
            assert_eq!(head.field("x-middleware"), Some("response"));
            let (bytes, end) = Body::of_response(&mut connection.input, &head, "GET").rest();
            assert!(end.is_ok() && bytes == b"hi");
        }
    }
    assert_eq!(peer.accepted(), 1);
}
