//! What the server answers to what a client sends.

use crate::support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasi_clocks::Datetime;
use wasi_error::http::ErrorCode;
use wasi_http::memory::{Empty, Frames, Full};
use wasi_http::{Fields, Frame, Method, Request, Response};

/// Says what it was asked.
async fn tell(request: Request) -> Response {
    let (method, path) = (request.method.as_str().to_string(), request.path_with_query);
    let read = read(request.body).await;
    let mut told = format!(
        "{method} {} {} {:?}",
        request.authority.as_deref().unwrap_or("-"),
        path.as_deref().unwrap_or("-"),
        String::from_utf8_lossy(&read.content),
    );
    if let Some(trailers) = read.trailers {
        told += &format!(" {trailers:?}");
    }
    if let Some(error) = read.error {
        told += &format!(" {error:?}");
    }
    text(&told)
}

/// The last line of a response.
fn content(response: &str) -> &str {
    response.rsplit("\r\n").next().unwrap()
}

#[test]
fn each_good_request_is_understood_and_the_connection_kept() {
    for (sent, told) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", r#"GET a / """#),
        (
            "\r\n\r\nGET /x?y HTTP/1.1\r\nHost: a:8\r\n\r\n",
            r#"GET a:8 /x?y """#,
        ),
        ("GET / HTTP/1.1\nhost: a\n\n", r#"GET a / """#),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", r#"GET - / """#),
        (
            "GET http://b/c HTTP/1.1\r\nhost: a\r\n\r\n",
            r#"GET b /c """#,
        ),
        (
            "GET HTTP://b?c HTTP/1.1\r\nhost: a\r\n\r\n",
            r#"GET b /?c """#,
        ),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", r#"OPTIONS a * """#),
        ("BREW / HTTP/1.1\r\nhost: a\r\n\r\n", r#"BREW a / """#),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
            r#"POST a / "abc""#,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
            r#"POST a / "abc""#,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            r#"POST a / "abc""#,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
             1;x=\"y\"\r\na\r\n0A ; z\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n",
            r#"POST a / "a0123456789" {"x-t": b"1"}"#,
        ),
        (
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            r#"GET - / """#,
        ),
    ] {
        let world = World::new();
        world.serve(world.server(), tell);
        let mut client = world.connect();
        // Behind one that is complete, so that its end has to be found.
        for _ in 0..2 {
            client.send(sent);
            let response = client.receive();
            assert!(
                response.starts_with("HTTP/1.1 200 OK\r\n"),
                "{sent:?} {response}"
            );
            assert_eq!(content(&response), told, "{sent:?}");
            assert!(!client.ended(), "{sent:?}");
        }
    }
}

#[test]
fn each_bad_request_has_its_status_and_ends_the_connection() {
    let many = format!(
        "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "a: b\r\n".repeat(200)
    );
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(70_000));
    let endless = "\r\n".repeat(40_000);
    for (sent, status) in [
        ("\x16\x03\x01\x02", 400),
        ("hello\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400),
        ("GET http:///x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET http://u@b/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /#x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\na : b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\na: b\r\n c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\n: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\na: b\0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\na: b\rc\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\na",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\na",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x1\r\n\r\na",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551616\r\n\r\na",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n\
             0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \x0bchunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            501,
        ),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", 501),
        (
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: a miracle\r\n\r\n",
            417,
        ),
        ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (&many, 431),
        (&long, 431),
        (&endless, 431),
    ] {
        let world = World::new();
        world.serve(world.server(), |_| async { panic!("it is no request") });
        let mut client = world.connect();
        client.send(sent);
        let response = client.receive();
        let shown = &sent[..sent.len().min(80)];
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown:?} {response}"
        );
        assert!(response.contains("\r\nconnection: close\r\n"), "{shown:?}");
        assert!(client.ended(), "{shown:?}");
    }
}

#[test]
fn bad_content_is_an_error_of_the_body_and_ends_the_connection() {
    let trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (chunks, code) in [
        ("x\r\n", ErrorCode::HttpProtocolError),
        ("\r\n\r\n", ErrorCode::HttpProtocolError),
        ("-1\r\n", ErrorCode::HttpProtocolError),
        ("1\nab", ErrorCode::HttpProtocolError),
        ("1;a\nb\r\na\r\n0\r\n\r\n", ErrorCode::HttpProtocolError),
        ("1\r\nab\r\n0\r\n\r\n", ErrorCode::HttpProtocolError),
        ("1\r\na\n0\r\n\r\n", ErrorCode::HttpProtocolError),
        ("11111111111111111\r\n", ErrorCode::HttpProtocolError),
        (
            &format!("1;{}", "a".repeat(2000)),
            ErrorCode::HttpProtocolError,
        ),
        ("0\r\na b: c\r\n\r\n", ErrorCode::HttpProtocolError),
        ("0\r\n\n\n", ErrorCode::HttpProtocolError),
        (&trailers, ErrorCode::HttpRequestTrailerSectionSize(None)),
    ] {
        let world = World::new();
        world.serve(world.server(), tell);
        let mut client = world.connect();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        client.send(chunks);
        let response = client.receive();
        let shown = &chunks[..chunks.len().min(40)];
        assert!(
            response.ends_with(&format!("{code:?}")),
            "{shown:?} {response}"
        );
        assert!(client.ended(), "{shown:?}");
    }
}

#[test]
fn requests_in_one_piece_are_answered_one_after_another() {
    let world = World::new();
    world.serve(world.server(), tell);
    let mut client = world.connect();
    let one = "POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab";
    let two =
        "POST /2 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n";
    let three = "GET /3 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\nGET /4 HTTP/1.1\r\n";
    client.send([one, two, three].concat());
    let received = client.receive();
    let told: Vec<_> = (received.split("HTTP/1.1 200 OK\r\n").skip(1))
        .map(content)
        .collect();
    assert_eq!(
        told,
        [r#"POST a /1 "ab""#, r#"POST a /2 "c""#, r#"GET a /3 """#]
    );
    assert!(client.ended());
}

#[test]
fn each_response_is_framed_as_its_request_and_content_want() {
    type Make = fn() -> Response;
    let unsized_: Make = || response(Frames::new([data("ab"), data("c")]));
    let trailed: Make = || {
        let trailers = fields(&[("x-t", "1"), ("content-length", "3"), ("x-u", "2")]);
        response(Frames::new([data("ab"), Ok(Frame::Trailers(trailers))]))
    };
    let sized: Make = || Response {
        headers: fields(&[("X-Mine", "1"), ("transfer-encoding", "gzip")]),
        ..text("abc")
    };
    let told: Make = || Response {
        headers: fields(&[("content-length", "3")]),
        ..response(Frames::new([data("ab"), data("c")]))
    };
    let closing: Make = || Response {
        headers: fields(&[("connection", "close")]),
        ..text("abc")
    };
    let nothing: Make = || Response {
        status: 204,
        headers: fields(&[("content-length", "0")]),
        body: Box::new(Empty),
    };
    let unchanged: Make = || Response {
        status: 304,
        headers: fields(&[("content-length", "3")]),
        body: Box::new(Full::new("abc")),
    };
    let unknown: Make = || Response {
        status: 299,
        ..response(Empty)
    };
    for (request, make, expected, kept) in [
        (
            "GET 1.1",
            unsized_,
            "200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            true,
        ),
        (
            "GET 1.0",
            unsized_,
            "200 OK\r\nconnection: close\r\n\r\nabc",
            false,
        ),
        ("HEAD 1.1", unsized_, "200 OK\r\n\r\n", true),
        (
            "GET 1.1",
            trailed,
            "200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-t: 1\r\nx-u: 2\r\n\r\n",
            true,
        ),
        (
            "GET 1.1",
            sized,
            "200 OK\r\nX-Mine: 1\r\ncontent-length: 3\r\n\r\nabc",
            true,
        ),
        (
            "GET 1.1",
            told,
            "200 OK\r\ncontent-length: 3\r\n\r\nabc",
            true,
        ),
        (
            "HEAD 1.1",
            told,
            "200 OK\r\ncontent-length: 3\r\n\r\n",
            true,
        ),
        (
            "GET 1.0",
            told,
            "200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc",
            false,
        ),
        (
            "GET 1.1",
            closing,
            "200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc",
            false,
        ),
        ("GET 1.1", nothing, "204 No Content\r\n\r\n", true),
        (
            "GET 1.1",
            unchanged,
            "304 Not Modified\r\ncontent-length: 3\r\n\r\n",
            true,
        ),
        (
            "GET 1.1",
            unknown,
            "299 \r\ncontent-length: 0\r\n\r\n",
            true,
        ),
    ] {
        let world = World::new();
        world.serve(world.server(), move |_| std::future::ready(make()));
        let mut client = world.connect();
        let (method, version) = request.split_once(' ').unwrap();
        client.send(format!("{method} / HTTP/{version}\r\nhost: a\r\n\r\n"));
        assert_eq!(
            client.receive(),
            format!("HTTP/1.1 {expected}"),
            "{request}"
        );
        assert_eq!(client.ended(), !kept, "{request} {expected:?}");
    }
}

#[test]
fn a_response_that_is_none_is_a_500() {
    let status = |status| Response {
        status,
        ..text("a")
    };
    let lengths = |value| Response {
        headers: fields(&[("content-length", value)]),
        ..text("a")
    };
    for make in [
        Box::new(move || status(101)) as Box<dyn Fn() -> Response + Send + Sync>,
        Box::new(move || status(0)),
        Box::new(move || status(1000)),
        Box::new(move || lengths("x")),
    ] {
        let world = World::new();
        world.serve(world.server(), move |_| std::future::ready(make()));
        let mut client = world.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let response = client.receive();
        assert!(response.starts_with("HTTP/1.1 500 "), "{response}");
        assert!(!client.ended());
    }
}

#[test]
fn a_response_that_fails_on_its_way_is_cut_off() {
    type Make = fn() -> Response;
    let failing: Make = || {
        let failure = Err(ErrorCode::InternalError(None));
        response(Frames::new([data("ab"), failure]))
    };
    let short: Make = || Response {
        headers: fields(&[("content-length", "3")]),
        ..text("ab")
    };
    let long: Make = || Response {
        headers: fields(&[("content-length", "2")]),
        ..response(Frames::new([data("ab"), data("c")]))
    };
    for (make, end) in [
        (failing, "2\r\nab\r\n"),
        (short, "\r\n\r\nab"),
        (long, "\r\n\r\nab"),
    ] {
        let world = World::new();
        world.serve(world.server(), move |_| std::future::ready(make()));
        let mut client = world.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let response = client.receive();
        assert!(response.ends_with(end), "{response:?}");
        assert!(client.ended());
    }
}

#[test]
fn a_date_is_sent_where_there_is_one() {
    for (seconds, sent, expected) in [
        (
            784_111_777,
            true,
            Some("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
        ),
        (784_111_777, false, None),
        (0, true, None),
    ] {
        let world = World::new();
        world.clock.set_wall(Datetime::new(seconds, 5).unwrap());
        world.serve(world.server().date(sent), tell);
        let mut client = world.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let response = client.receive();
        assert_eq!(response.contains("date: "), expected.is_some());
        assert!(
            expected.is_none_or(|date| response.contains(date)),
            "{response}"
        );
    }
}

#[test]
fn a_client_that_expects_a_100_gets_it_when_the_content_is_read() {
    const HEAD: &str =
        "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
    let world = World::new();
    world.serve(world.server(), tell);
    let mut client = world.connect();
    for _ in 0..2 {
        client.send(HEAD);
        assert_eq!(client.receive(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("abc");
        let response = client.receive();
        assert_eq!(content(&response), r#"POST a / "abc""#);
    }
    // Content that is there needs no leave.
    client.send([HEAD, "abc"].concat());
    assert!(client.receive().starts_with("HTTP/1.1 200 OK\r\n"));
    // Nor does a version that has none.
    client.send("POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n");
    assert_eq!(client.receive(), "");
}

#[test]
fn who_is_not_told_to_send_content_is_told_that_the_connection_ends() {
    let world = World::new();
    world.serve(world.server(), |_| async { text("no") });
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n");
    let response = client.receive();
    assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
    assert!(client.ended());
}

#[test]
fn content_that_nobody_reads_is_passed_over_up_to_a_limit() {
    for (length, passed) in [(3, true), (200_000, true), (300_000, false)] {
        let world = World::new();
        world.serve(world.server(), |_| async { text("ok") });
        let mut client = world.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"
        ));
        assert!(client.receive().ends_with("ok"), "not before the response");
        client.send("x".repeat(length));
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.receive().ends_with("ok"), passed, "{length}");
        assert_eq!(client.ended(), !passed, "{length}");
    }
}

#[test]
fn a_client_that_does_not_read_stops_the_response() {
    let world = World::new();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    world.serve(world.server(), move |_| {
        let body = Endless(count.clone());
        async move { response(body) }
    });
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let first = taken.load(Ordering::Relaxed);
    assert!(first < 100_000, "{first}");
    client.receive_bytes(50_000);
    let second = taken.load(Ordering::Relaxed);
    assert!(
        second > first + 40_000 && second < first + 80_000,
        "{second}"
    );
}

#[test]
fn a_handler_that_does_not_read_stops_the_client() {
    let world = World::new();
    let held: Arc<std::sync::Mutex<Vec<Request>>> = Arc::default();
    let hold = held.clone();
    world.serve(world.server(), move |request| {
        hold.lock().unwrap().push(request);
        std::future::pending()
    });
    let client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    let sent = client.send("x".repeat(1_000_000));
    assert!(sent < 150_000, "{sent}");
    // Once it reads, it gets all.
    let request = held.lock().unwrap().pop().unwrap();
    assert_eq!(request.method, Method::Post);
    let reading = world.read(request.body);
    client.send("x".repeat(1_000_000 - sent));
    assert_eq!(reading.take().unwrap().content.len(), 1_000_000);
}

#[test]
fn names_are_in_lower_case_and_values_as_they_came() {
    let world = World::new();
    let seen: Arc<std::sync::Mutex<Fields>> = Arc::default();
    let see = seen.clone();
    world.serve(world.server(), move |request| {
        *see.lock().unwrap() = request.headers;
        async { text("") }
    });
    let client = world.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-A:  B c\t \r\nx-b:\r\nX-a: \xff\r\n\r\n");
    let fields = seen.lock().unwrap().clone();
    let list: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name, &value[..]))
        .collect();
    assert_eq!(
        list,
        [
            ("host", &b"a"[..]),
            ("x-a", b"B c"),
            ("x-b", b""),
            ("x-a", b"\xff")
        ]
    );
}
