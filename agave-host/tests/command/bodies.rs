//! Messages there and back, in HTTP/1.1 and HTTP/2.

use crate::support::at_once;
use crate::support::http::{Body, Connection, Content, Head, Request};
use crate::support::server::Server;
use std::io::Read;
use std::sync::OnceLock;

fn testbed() -> &'static Server {
    static TESTBED: OnceLock<Server> = OnceLock::new();
    TESTBED.get_or_init(|| Server::testbed(&[]))
}

/// Bytes of which no two stretches are alike.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

#[test]
fn bodies_of_all_sizes_come_back_as_they_were() {
    let bytes = noise(10 << 20);
    let sizes = [0, 1, 1023, 65_535, 65_536, 65_537, 1 << 20, 10 << 20];
    let mut connection = testbed().connect();
    for size in sizes {
        let bytes = &bytes[..size];
        for content in [Content::Length(bytes), Content::Chunks(bytes, &[])] {
            let fields = &[("Content-Type", "application/x-noise")];
            let request = Request {
                method: "POST",
                target: "/echo",
                fields,
                content,
            };
            let response = connection.exchange(&request);
            assert_eq!(response.status(), 200, "{size}");
            assert!(response.end.is_ok(), "{size}: {:?}", response.end);
            assert!(
                response.body == bytes,
                "{size}: {} other bytes",
                response.body.len()
            );
            assert_eq!(response.field("content-type"), Some("application/x-noise"));
        }
    }
}

#[test]
fn many_big_bodies_at_once_do_not_mix() {
    let bytes = noise(2 << 20);
    at_once(16, |i| {
        let mine = &bytes[i..];
        let content = Content::Chunks(mine, &[]);
        let response = testbed().request(&Request {
            content,
            ..Request::new("POST", "/echo")
        });
        assert!(response.end.is_ok() && response.body == mine, "{i}");
    });
}

#[test]
fn each_piece_of_a_body_passes_before_the_next_is_sent() {
    let mut connection = testbed().connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.send("1\r\n0\r\n");
    let head = Head::read(&mut connection.input).unwrap();
    assert_eq!(head.field("transfer-encoding"), Some("chunked"));
    let chunk = |connection: &mut Connection| {
        let mut chunk = [0; 6];
        connection.input.read_exact(&mut chunk).unwrap();
        chunk
    };
    assert_eq!(&chunk(&mut connection), b"1\r\n0\r\n");
    for digit in b"12345" {
        let sent = [b'1', b'\r', b'\n', *digit, b'\r', b'\n'];
        connection.send(sent);
        assert_eq!(chunk(&mut connection), sent);
    }
    connection.send("0\r\n\r\n");
    let mut end = [0; 5];
    connection.input.read_exact(&mut end).unwrap();
    assert_eq!(&end, b"0\r\n\r\n");
}

#[test]
fn trailers_pass() {
    let trailers = &[("X-Checksum", "1f"), ("X-Second", "2")];
    let response = testbed().request(&Request {
        fields: &[("TE", "trailers"), ("Trailer", "X-Checksum, X-Second")],
        content: Content::Chunks(b"content", trailers),
        ..Request::new("POST", "/echo")
    });
    assert_eq!(response.told(), (200, "content"));
    let mut got = response.trailers;
    got.sort();
    let expected = [("x-checksum", "1f"), ("x-second", "2")];
    assert_eq!(
        got,
        expected.map(|(name, value)| (name.to_string(), value.to_string()))
    );
}

#[test]
fn a_guest_need_not_read_what_it_is_sent() {
    for size in [1, 65_536] {
        let content = noise(size);
        let response = testbed().request(&Request {
            content: Content::Length(&content),
            ..Request::new("POST", "/status?code=403")
        });
        assert_eq!(response.told(), (403, "status\n"), "{size}");
    }
}

#[test]
fn what_a_guest_declares_must_be_what_it_sends() {
    let exact = testbed().get("/length?declare=10&send=10");
    assert_eq!(exact.told(), (200, "xxxxxxxxxx"));
    assert_eq!(exact.field("content-length"), Some("10"));
    for target in ["/length?declare=10&send=5", "/length?declare=10&send=0"] {
        let response = testbed().get(target);
        assert!(response.end.is_err(), "{target}: {response:?}");
    }
    // Never more than was declared: it would be the next response.
    let mut connection = testbed().connect();
    let response = connection.get("/length?declare=10&send=15");
    assert!(response.body.len() <= 10, "{response:?}");
}

#[test]
fn a_body_that_a_guest_does_not_finish_is_cut_off() {
    for ms in [0, 100] {
        let response = testbed().get(&format!("/truncate?ms={ms}"));
        assert_eq!(response.status(), 200);
        assert!(response.end.is_err(), "{response:?}");
        assert_eq!(response.body, b"incomplete");
    }
}

#[test]
fn a_body_drips_and_a_long_one_is_whole() {
    let mut connection = testbed().connect();
    let (_, mut body) = connection.begin("/drip?n=5&ms=20");
    assert_eq!(body.text(5), ".....");
    let (rest, end) = body.rest();
    assert!(rest.is_empty() && end.is_ok());
    let response = connection.get("/bytes?n=30000000");
    assert!(response.end.is_ok());
    assert!(response.body == vec![b'x'; 30_000_000]);
}

#[test]
fn the_guest_sees_the_request_as_it_was() {
    let fields = &[("X-Twice", "1"), ("x-twice", "2"), ("X-Empty", "")];
    let response = testbed().request(&Request {
        fields,
        content: Content::Length(b"1234"),
        ..Request::new("PATCH", "/headers?a=%20b&c=d/e?f")
    });
    let text = response.text();
    for line in [
        "method: Method::Patch",
        "scheme: Some(Scheme::Http)",
        "authority: Some(\"agave.test\")",
        "path: Some(\"/headers?a=%20b&c=d/e?f\")",
        "header x-twice: 1",
        "header x-twice: 2",
        "header x-empty: ",
        "header content-length: 4",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    for (method, told) in [("GET", "Method::Get"), ("BREW", "Method::Other(\"BREW\")")] {
        let response = testbed().request(&Request::new(method, "/headers"));
        assert!(response.text().contains(told), "{response:?}");
    }
    let mut connection = testbed().connect();
    connection
        .send(b"GET /headers HTTP/1.1\r\nHost: a:81\r\nConnection: close\r\nX: a\xff\tb\r\n\r\n");
    let text = connection.until_closed();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("header x: a\\xff\\tb\n"), "{text}");
    assert!(text.contains("authority: Some(\"a:81\")\n"), "{text}");
}

#[test]
fn header_fields_that_would_change_the_message_are_refused_to_the_guest() {
    let response = testbed().get("/badheaders");
    let (status, text) = response.told();
    assert_eq!(status, 200);
    assert!(text.lines().count() >= 14, "{text}");
    for line in text.lines() {
        let (what, result) = line.split_once(": ").unwrap();
        assert_eq!(result.starts_with("Ok"), what == "plain", "{line}");
        let code = match what {
            "connection" | "Host" | "keep-alive" | "transfer-encoding" | "upgrade" => "Forbidden",
            what if what.starts_with("immutable") => "Immutable",
            "plain" => "Ok",
            _ => "InvalidSyntax",
        };
        assert!(result.contains(code), "{line}");
    }
}

#[test]
fn statuses_are_as_the_guest_set_them() {
    let mut connection = testbed().connect();
    for code in [200, 201, 204, 301, 304, 404, 418, 500, 503, 599] {
        let response = connection.get(&format!("/status?code={code}"));
        let text = if matches!(code, 204 | 304) {
            ""
        } else {
            "status\n"
        };
        assert_eq!(response.told(), (code, text));
    }
    for code in [0, 99, 1000, 65535] {
        let response = connection.get(&format!("/status?code={code}"));
        assert_eq!(response.told(), (500, "status refused\n"), "{code}");
    }
}

#[test]
fn http_1_0_is_spoken() {
    let mut connection = testbed().connect();
    connection.send("GET /bytes?n=5 HTTP/1.0\r\n\r\n");
    let text = String::from_utf8(connection.until_closed()).unwrap();
    assert!(
        text.starts_with("HTTP/1.") && text.contains(" 200 OK\r\n"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nxxxxx"), "{text}");
}

#[test]
fn requests_that_are_sent_ahead_are_answered_in_order() {
    let mut connection = testbed().connect();
    let request = |code| format!("GET /status?code={code} HTTP/1.1\r\nHost: x\r\n\r\n");
    let codes = [200, 404, 201, 500];
    connection.send(codes.map(request).concat());
    for code in codes {
        let head = Head::read(&mut connection.input).unwrap();
        assert_eq!(head.status(), code);
        let mut body = Body::of_response(&mut connection.input, &head, "GET");
        let (bytes, end) = body.rest();
        assert!(end.is_ok() && bytes == b"status\n");
    }
}

/// HTTP/2 without TLS, the client knowing that it is spoken.
mod http2 {
    use super::{noise, testbed};
    use bytes::Bytes;
    use h2::client::SendRequest;
    use http::{HeaderMap, Request, Response};
    use std::future::Future;
    use tokio::net::TcpStream;

    fn run<T>(test: impl FnOnce(SendRequest<Bytes>) -> T)
    where
        T: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let stream = TcpStream::connect(testbed().address).await.unwrap();
            let (client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            let test = test(client.ready().await.unwrap());
            tokio::time::timeout(crate::support::PATIENCE, test)
                .await
                .expect("in time");
            drop(connection);
        });
    }

    /// Sends a request with content while it receives the response.
    async fn exchange(
        client: &mut SendRequest<Bytes>,
        request: Request<()>,
        content: Vec<u8>,
        trailers: Option<HeaderMap>,
    ) -> (Response<()>, Vec<u8>, Option<HeaderMap>) {
        let nothing = content.is_empty() && trailers.is_none();
        let (response, mut stream) = client.send_request(request, nothing).unwrap();
        let sender = async {
            let mut content = Bytes::from(content);
            while !content.is_empty() {
                stream.reserve_capacity(content.len());
                let next = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                let Some(Ok(capacity)) = next else { return };
                let now = content.split_to(capacity.min(content.len()));
                let end = content.is_empty() && trailers.is_none();
                if stream.send_data(now, end).is_err() {
                    return;
                }
            }
            if let Some(trailers) = trailers {
                stream.send_trailers(trailers).unwrap();
            }
        };
        let receiver = async {
            let (parts, mut body) = response.await.unwrap().into_parts();
            let mut bytes = Vec::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                bytes.extend(data);
            }
            let trailers = body.trailers().await.unwrap();
            (Response::from_parts(parts, ()), bytes, trailers)
        };
        let ((), received) = tokio::join!(sender, receiver);
        received
    }

    fn get(path: &str) -> Request<()> {
        Request::get(format!("http://agave.test{path}"))
            .body(())
            .unwrap()
    }

    #[test]
    fn requests_are_answered_on_one_connection() {
        run(|mut client| async move {
            for code in [200, 404, 204] {
                let request = get(&format!("/status?code={code}"));
                let (response, bytes, _) = exchange(&mut client, request, Vec::new(), None).await;
                assert_eq!(response.status(), code);
                assert_eq!(bytes.is_empty(), code == 204);
            }
            let (_, bytes, _) = exchange(&mut client, get("/headers"), Vec::new(), None).await;
            let text = String::from_utf8(bytes).unwrap();
            for line in [
                "method: Method::Get",
                "scheme: Some(Scheme::Http)",
                "authority: Some(\"agave.test\")",
                "path: Some(\"/headers\")",
            ] {
                assert!(text.lines().any(|it| it == line), "{line}: {text}");
            }
        });
    }

    #[test]
    fn big_bodies_and_trailers_pass() {
        run(|mut client| async move {
            let content = noise(10 << 20);
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", "1f".parse().unwrap());
            let request = Request::post("http://agave.test/echo").body(()).unwrap();
            let sent = Some(trailers.clone());
            let (response, bytes, got) =
                exchange(&mut client, request, content.clone(), sent).await;
            assert_eq!(response.status(), 200);
            assert!(bytes == content, "{} other bytes", bytes.len());
            assert_eq!(got, Some(trailers));
        });
    }

    #[test]
    fn streams_of_one_connection_do_not_wait_for_each_other() {
        run(|mut client| async move {
            let slow = get("/sleep?ms=50000");
            let (slow, _stream) = client.send_request(slow, true).unwrap();
            let fast: Vec<_> = (0..10)
                .map(|i| {
                    let mut client = client.clone();
                    tokio::spawn(async move {
                        let request = Request::post("http://agave.test/echo").body(()).unwrap();
                        let content = noise(100_000 + i);
                        let (_, bytes, _) =
                            exchange(&mut client, request, content.clone(), None).await;
                        assert!(bytes == content);
                    })
                })
                .collect();
            for one in fast {
                one.await.unwrap();
            }
            drop(slow);
        });
    }

    #[test]
    fn a_guest_that_fails_fails_its_stream_alone() {
        run(|mut client| async move {
            let (response, ..) = exchange(&mut client, get("/trap"), Vec::new(), None).await;
            assert_eq!(response.status(), 500);
            let (response, stream) = client.send_request(get("/truncate?ms=300"), true).unwrap();
            drop(stream);
            let mut body = response.await.unwrap().into_body();
            let end = loop {
                match body.data().await {
                    Some(Ok(_)) => {}
                    end => break end,
                }
            };
            assert!(end.is_some(), "a proper end");
            let (response, ..) = exchange(&mut client, get("/status"), Vec::new(), None).await;
            assert_eq!(response.status(), 200);
        });
    }
}
