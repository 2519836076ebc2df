//! What the client sends, and makes of what a server answers.

use crate::support::*;
use wasi_error::http::{DnsErrorPayload, ErrorCode};
use wasi_http::memory::{Empty, Frames, Full};
use wasi_http::{Client, Frame, Method, Request, RequestOptions, Scheme};

#[test]
fn each_request_is_framed_as_its_method_and_content_want() {
    let trailers = || Ok(Frame::Trailers(fields(&[("x-t", "1"), ("host", "b")])));
    let with = |headers: &[(&'static str, &'static str)], request: Request| Request {
        headers: fields(headers),
        ..request
    };
    let parts = || Frames::new([data("ab"), data("c")]);
    for (request, sent) in [
        (get("/x?y"), "GET /x?y HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        (get(""), "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        (get("?q"), "GET /?q HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        (
            with(
                &[
                    ("A", "1"),
                    ("Host", "b"),
                    ("Transfer-Encoding", "gzip"),
                    ("a", ""),
                ],
                get("/"),
            ),
            "GET / HTTP/1.1\r\nhost: a.example\r\nA: 1\r\na: \r\n\r\n",
        ),
        (
            with(&[("connection", "close, x")], get("/")),
            "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
        ),
        (
            request(Method::Post, "/", Empty),
            "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            request(Method::Other("BREW".into()), "/", Full::new("abc")),
            "BREW / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            request(Method::Get, "/", Full::new("abc")),
            "GET / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            request(Method::Get, "/", parts()),
            "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n",
        ),
        (
            with(
                &[("content-length", "3")],
                request(Method::Get, "/", parts()),
            ),
            "GET / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            request(Method::Put, "/", parts()),
            "PUT / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        ),
        (
            request(Method::Put, "/", Frames::new([data("ab"), trailers()])),
            "PUT / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nab\r\n0\r\nx-t: 1\r\n\r\n",
        ),
    ] {
        let world = World::new();
        let listener = world.listen();
        let client = world.builder().build();
        let pending = world.send(&client, request);
        let mut server = Raw::accept(&listener, &world).unwrap();
        assert_eq!(server.receive(), sent);
        server.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        let body = pending.take().unwrap().unwrap().body;
        assert_eq!(world.read(body).take().unwrap().text(), "ok");
    }
}

#[test]
fn a_request_that_can_not_be_sent_fails_at_once() {
    let changed = |change: fn(&mut Request)| {
        let mut request = get("/");
        change(&mut request);
        request
    };
    for (request, code) in [
        (
            changed(|r| r.scheme = Some(Scheme::Https)),
            ErrorCode::ConfigurationError,
        ),
        (
            changed(|r| r.scheme = Some(Scheme::Other("ftp".into()))),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            changed(|r| r.authority = None),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            changed(|r| r.authority = Some("u@a".into())),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            changed(|r| r.authority = Some("a:0".into())),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            changed(|r| r.authority = Some("a\r\nb".into())),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            changed(|r| r.path_with_query = Some("/ x".into())),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            changed(|r| r.path_with_query = Some("x".into())),
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            changed(|r| r.path_with_query = Some(format!("/{}", "a".repeat(70_000)))),
            ErrorCode::HttpRequestUriTooLong,
        ),
        (
            changed(|r| r.method = Method::Connect),
            ErrorCode::HttpRequestMethodInvalid,
        ),
        (
            changed(|r| r.method = Method::Other("A B".into())),
            ErrorCode::HttpRequestMethodInvalid,
        ),
        (
            changed(|r| r.headers = fields(&[("content-length", "x")])),
            ErrorCode::HttpProtocolError,
        ),
    ] {
        let world = World::new();
        let mut sent = world
            .builder()
            .build()
            .send(request, RequestOptions::default());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match sent.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(Err(error)) => assert_eq!(error, code),
            _ => panic!("{code}"),
        }
    }
}

/// Answers a request with `sent` and maybe the end; the head or its error, and the body.
fn answer(method: Method, sent: &[u8], end: bool) -> (Result<u16, ErrorCode>, Option<Read>) {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let pending = world.send(&client, request(method, "/", Empty));
    let mut server = Raw::accept(&listener, &world).unwrap();
    server.receive();
    server.send(sent);
    if end {
        server.shut();
    }
    match pending.take().expect("no answer") {
        Ok(response) => {
            let read = world.read(response.body).take();
            (Ok(response.status), read)
        }
        Err(code) => (Err(code), None),
    }
}

#[test]
fn each_good_response_is_understood() {
    for (method, sent, end, status, content) in [
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
            false,
            200,
            "abc",
        ),
        (
            Method::Get,
            "HTTP/1.1 200\r\ncontent-length: 3\r\n\r\nabc",
            false,
            200,
            "abc",
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc",
            false,
            200,
            "abc",
        ),
        (Method::Get, "HTTP/1.1 200 OK\r\n\r\nabc", true, 200, "abc"),
        (Method::Get, "HTTP/1.0 200 OK\r\n\r\n", true, 200, ""),
        (
            Method::Get,
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na",
            false,
            200,
            "a",
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            false,
            200,
            "abc",
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
            200,
            "",
        ),
        (
            Method::Get,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\nHTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n",
            false,
            404,
            "",
        ),
        (
            Method::Head,
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n",
            false,
            200,
            "",
        ),
        (
            Method::Head,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            false,
            200,
            "",
        ),
        (Method::Get, "HTTP/1.1 204 No\r\n\r\n", false, 204, ""),
        (
            Method::Get,
            "HTTP/1.1 304 No\r\ncontent-length: 3\r\n\r\n",
            false,
            304,
            "",
        ),
        (
            Method::Get,
            "HTTP/1.1 999 \r\ncontent-length: 1\r\n\r\na",
            false,
            999,
            "a",
        ),
    ] {
        let (got, read) = answer(method, sent.as_bytes(), end);
        assert_eq!(got, Ok(status), "{sent:?}");
        let read = read.unwrap_or_else(|| panic!("no end: {sent:?}"));
        assert_eq!(read.text(), content, "{sent:?}");
    }
}

#[test]
fn each_bad_head_has_its_code() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
    let long = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(70_000));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
    let protocol = ErrorCode::HttpProtocolError;
    for (sent, end, code) in [
        ("", true, ErrorCode::ConnectionTerminated),
        ("HTTP/1.1 200 OK\r\n", true, ErrorCode::ConnectionTerminated),
        ("SSH-2.0\r\n", false, protocol.clone()),
        ("\x15\x03\x03", false, protocol.clone()),
        ("HTTP/2.0 200 OK\r\n\r\n", false, protocol.clone()),
        ("HTTP/1.1 20 OK\r\n\r\n", false, protocol.clone()),
        ("HTTP/1.1 099 OK\r\n\r\n", false, protocol.clone()),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n", false, protocol.clone()),
        ("HTTP/1.1 200 OK\r\na: b\0\r\n\r\n", false, protocol.clone()),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            false,
            protocol.clone(),
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            false,
            protocol.clone(),
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            false,
            protocol.clone(),
        ),
        (
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            false,
            protocol.clone(),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, x\r\n\r\n",
            false,
            protocol.clone(),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            false,
            ErrorCode::HttpResponseTransferCoding(Some("gzip".into())),
        ),
        (
            "HTTP/1.1 101 Switching\r\n\r\n",
            false,
            ErrorCode::HttpUpgradeFailed,
        ),
        (&interim, false, protocol.clone()),
        (&many, false, ErrorCode::HttpResponseHeaderSectionSize(None)),
        (&long, false, ErrorCode::HttpResponseHeaderSectionSize(None)),
    ] {
        let (got, _) = answer(Method::Get, sent.as_bytes(), end);
        assert_eq!(got, Err(code), "{:?}", &sent[..sent.len().min(80)]);
    }
}

#[test]
fn each_bad_body_has_its_code_behind_what_came_before() {
    const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let trailers = format!("1\r\na\r\n0\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (head, sent, content, code) in [
        (LENGTH, "abc", "abc", ErrorCode::HttpResponseIncomplete),
        (CHUNKED, "3\r\nab", "ab", ErrorCode::HttpResponseIncomplete),
        (
            CHUNKED,
            "2\r\nab\r\n",
            "ab",
            ErrorCode::HttpResponseIncomplete,
        ),
        (
            CHUNKED,
            "2\r\nab\r\n0\r\n",
            "ab",
            ErrorCode::HttpResponseIncomplete,
        ),
        (
            CHUNKED,
            "2\r\nab\r\n0\r\na: b\r\n",
            "ab",
            ErrorCode::HttpResponseIncomplete,
        ),
        (CHUNKED, "2\r\nabc", "ab", ErrorCode::HttpProtocolError),
        (CHUNKED, "\r\n", "", ErrorCode::HttpProtocolError),
        (CHUNKED, "g\r\n", "", ErrorCode::HttpProtocolError),
        (
            CHUNKED,
            "fffffffffffffffff\r\n",
            "",
            ErrorCode::HttpProtocolError,
        ),
        (
            CHUNKED,
            "1\r\na\r\n0\r\na\r\n\r\n",
            "a",
            ErrorCode::HttpProtocolError,
        ),
        (
            CHUNKED,
            &trailers,
            "a",
            ErrorCode::HttpResponseTrailerSectionSize(None),
        ),
    ] {
        let (status, read) = answer(Method::Get, [head, sent].concat().as_bytes(), true);
        assert_eq!(status, Ok(200));
        let read = read.unwrap();
        let shown = &sent[..sent.len().min(40)];
        assert_eq!(String::from_utf8_lossy(&read.content), content, "{shown:?}");
        assert_eq!(read.error, Some(code), "{shown:?}");
    }
}

#[test]
fn a_folded_field_is_one_line() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let pending = world.send(&client, get("/"));
    let server = Raw::accept(&listener, &world).unwrap();
    server.send("HTTP/1.1 200 OK\r\nX-A: b\r\n  c\r\n\td\r\nContent-Length: 0\r\n\r\n");
    let headers = pending.take().unwrap().unwrap().headers;
    let value = headers.get("x-a").unwrap();
    let words: Vec<_> = value.split(|byte| byte.is_ascii_whitespace()).collect();
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    assert_eq!(words, [b"b", b"c", b"d"]);
    assert!(!value.contains(&b'\n') && !value.contains(&b'\r'));
    assert_eq!(headers.len(), 2);
}

#[test]
fn a_destination_that_can_not_be_reached_has_its_code() {
    let nxdomain = ErrorCode::DnsError(DnsErrorPayload {
        rcode: Some("NXDOMAIN".into()),
        info_code: None,
    });
    for (authority, code) in [
        ("a.example", ErrorCode::ConnectionRefused),
        ("127.0.0.1:81", ErrorCode::ConnectionRefused),
        ("b.example", nxdomain.clone()),
        ("1.2.3.999", nxdomain),
        ("192.0.2.1", ErrorCode::DestinationIpUnroutable),
        ("0.0.0.0", ErrorCode::DestinationIpUnroutable),
        ("[ff02::1]", ErrorCode::DestinationIpUnroutable),
    ] {
        let world = World::new();
        let client = world.builder().build();
        let mut request = get("/");
        request.authority = Some(authority.into());
        let failed = world.send(&client, request).take().unwrap();
        assert_eq!(failed.err(), Some(code), "{authority}");
    }
}

#[test]
fn each_timeout_has_its_code() {
    let options = |field: fn(&mut RequestOptions) -> &mut Option<u64>| {
        let mut options = RequestOptions::default();
        *field(&mut options) = Some(5 * SECOND);
        options
    };
    // Nobody accepts: the backlog is full.
    let world = World::new();
    let _listener = world.listen();
    let _waiting: Vec<_> = (0..16).map(|_| world.connect()).collect();
    let client = world.builder().build();
    let connect = options(|options| &mut options.connect_timeout);
    let pending = world.send_with(&client, get("/"), connect);
    world.pass(4 * SECOND);
    assert!(pending.take().is_none());
    world.pass(SECOND);
    let failed = pending.take().unwrap().err();
    assert_eq!(failed, Some(ErrorCode::ConnectionTimeout));

    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let first = options(|options| &mut options.first_byte_timeout);
    let pending = world.send_with(&client, get("/"), first);
    let mut server = Raw::accept(&listener, &world).unwrap();
    server.send("HTTP/1.1 200 OK\r\n");
    world.pass(4 * SECOND);
    assert!(pending.take().is_none());
    world.pass(SECOND);
    let failed = pending.take().unwrap().err();
    assert_eq!(failed, Some(ErrorCode::HttpResponseTimeout));
    server.receive();
    assert!(server.ended());

    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let between = options(|options| &mut options.between_bytes_timeout);
    let pending = world.send_with(&client, get("/"), between);
    let mut server = Raw::accept(&listener, &world).unwrap();
    server.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab");
    let reading = world.read(pending.take().unwrap().unwrap().body);
    world.pass(4 * SECOND);
    server.send("cd");
    world.pass(4 * SECOND);
    assert!(reading.take().is_none());
    world.pass(SECOND);
    let read = reading.take().unwrap();
    assert_eq!(
        (&read.content[..], read.error),
        (&b"abcd"[..], Some(ErrorCode::ConnectionReadTimeout))
    );
    server.receive();
    assert!(server.ended());
}

#[test]
fn an_exchange_goes_on_without_being_polled_and_ends_when_it_is_dropped() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let hand = Hand::default();
    let sent = client.send(
        request(Method::Post, "/", hand.body()),
        RequestOptions::default(),
    );
    let mut server = Raw::accept(&listener, &world).unwrap();
    hand.put(data("abc"), &world);
    assert!(server.receive().ends_with("3\r\nabc\r\n"));
    drop(sent);
    world.executor.run();
    assert!(hand.is_dropped());
    server.receive();
    assert!(server.ended());
}

#[test]
fn a_response_body_that_is_dropped_ends_the_exchange() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let hand = Hand::default();
    let pending = world.send(&client, request(Method::Post, "/", hand.body()));
    let mut server = Raw::accept(&listener, &world).unwrap();
    server.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab");
    let response = pending.take().unwrap().unwrap();
    // The request's body goes on after the head of the response.
    hand.put(data("abc"), &world);
    assert!(server.receive().ends_with("3\r\nabc\r\n"));
    assert!(!hand.is_dropped());
    drop(response);
    world.executor.run();
    assert!(hand.is_dropped());
    server.receive();
    assert!(server.ended());
}

#[test]
fn a_request_body_that_fails_fails_the_exchange() {
    // Before the head of the response.
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let failure = || Err(ErrorCode::InternalError(Some("mine".into())));
    let body = Frames::new([data("abc"), failure()]);
    let pending = world.send(&client, request(Method::Post, "/", body));
    let mut server = Raw::accept(&listener, &world).unwrap();
    assert!(
        server.receive().ends_with("3\r\nabc\r\n"),
        "no end of the content"
    );
    assert!(server.ended());
    assert_eq!(pending.take().unwrap().err(), failure().err());
    // And after it.
    let hand = Hand::default();
    let pending = world.send(&client, request(Method::Post, "/", hand.body()));
    let mut server = Raw::accept(&listener, &world).unwrap();
    server.send("HTTP/1.1 200 OK\r\n\r\nab");
    let reading = world.read(pending.take().unwrap().unwrap().body);
    hand.put(failure(), &world);
    assert_eq!(reading.take().unwrap().error, failure().err());
    server.receive();
    assert!(server.ended());
}

#[test]
fn content_of_another_length_than_told_is_an_error() {
    for (content, sent) in [("ab", "\r\n\r\nab"), ("abcd", "\r\n\r\n")] {
        let world = World::new();
        let listener = world.listen();
        let client = world.builder().build();
        let mut wrong = request(Method::Post, "/", Full::new(content));
        wrong.headers = fields(&[("content-length", "3")]);
        let pending = world.send(&client, wrong);
        let mut server = Raw::accept(&listener, &world).unwrap();
        assert!(server.receive().ends_with(sent));
        assert!(server.ended());
        let failed = pending.take().unwrap().err();
        assert_eq!(failed, Some(ErrorCode::HttpRequestBodySize(None)));
    }
}

#[test]
fn an_answer_before_the_end_of_the_content_counts() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let body = "x".repeat(1_000_000);
    let pending = world.send(&client, request(Method::Post, "/", Full::new(body)));
    let server = Raw::accept(&listener, &world).unwrap();
    server.send("HTTP/1.1 413 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
    let response = pending.take().unwrap().unwrap();
    assert_eq!(response.status, 413);
    assert_eq!(world.read(response.body).take().unwrap().text(), "no");
}
