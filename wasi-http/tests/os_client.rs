//! The client against peers on loopback: messages both ways, and connections kept.
#![cfg(feature = "std")]

mod os_support;

use os_support::*;
use std::future::poll_fn;
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::time::Duration;
use wasi_error::http::ErrorCode;
use wasi_http::{Client, Fields, Frame, Method, RequestOptions, Scheme};

/// Answers requests with `ok` until the client closes.
fn ok(mut connection: Connection, _: usize) {
    while connection.head().is_some() {
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
}

/// The request as the peer got it: its head and `n` bytes of content.
fn sent(request: impl FnOnce(&Peer) -> wasi_http::Request, n: usize) -> (Vec<String>, Vec<u8>) {
    let (sender, receiver) = channel();
    let peer = Peer::new(move |mut connection, _| {
        let head = connection.head().unwrap();
        let content = connection.bytes(n);
        sender.send((head, content)).unwrap();
        connection.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
    assert_eq!(send(&client(), request(&peer)).unwrap().status, 204);
    receiver.recv().unwrap()
}

#[test]
fn a_get_names_the_host_and_has_no_content() {
    let mut authority = String::new();
    let (head, _) = sent(
        |peer| {
            authority = peer.authority();
            let mut request = peer.get("/a/b?c=d");
            request.headers.append("X-Mine", "1").unwrap();
            request.headers.append("host", "elsewhere").unwrap();
            request
        },
        0,
    );
    let lines = [
        "GET /a/b?c=d HTTP/1.1".into(),
        format!("host: {authority}"),
        "x-mine: 1".into(),
    ];
    assert_eq!(head, lines);
}

#[test]
fn a_request_without_a_path_is_for_the_root() {
    let (head, _) = sent(
        |peer| {
            let mut request = peer.get("");
            request.path_with_query = None;
            request
        },
        0,
    );
    assert_eq!(head[0], "GET / HTTP/1.1");
}

#[test]
fn content_whose_length_is_known_has_a_content_length() {
    let (head, content) = sent(|peer| peer.post("/", Parts::of("hello")), 5);
    assert_eq!(header(&head, "content-length"), Some("5"));
    assert_eq!(header(&head, "transfer-encoding"), None);
    assert_eq!(content, b"hello");
}

#[test]
fn the_content_length_of_the_guest_is_sent() {
    let (head, content) = sent(
        |peer| {
            let mut request = peer.post("/", Parts::new([data("he"), data("llo")], false));
            request.headers.append("content-length", "5").unwrap();
            request
        },
        5,
    );
    assert_eq!(header(&head, "content-length"), Some("5"));
    assert_eq!(header(&head, "transfer-encoding"), None);
    assert_eq!(content, b"hello");
}

#[test]
fn trailers_are_sent_behind_content_of_unknown_length() {
    let (sender, receiver) = channel();
    let peer = Peer::new(move |mut connection, _| {
        let head = connection.head().unwrap();
        let (mut content, mut chunk) = (Vec::new(), connection.chunk());
        while !chunk.is_empty() {
            content.append(&mut chunk);
            chunk = connection.chunk();
        }
        sender
            .send((head, content, connection.head().unwrap()))
            .unwrap();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
    let mut trailers = Fields::new();
    trailers.append("x-sum", "5").unwrap();
    let frames = [data("hel"), data("lo"), Frame::Trailers(trailers)];
    let mut request = peer.post("/", Parts::new(frames, false));
    request.headers.append("trailer", "x-sum").unwrap();
    send(&client(), request).unwrap();
    let (head, content, trailers) = receiver.recv().unwrap();
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(content, b"hello");
    assert_eq!(trailers, ["x-sum: 5"]);
}

#[test]
fn a_response_has_status_fields_content_and_trailers() {
    let peer = Peer::new(|mut connection, _| {
        connection.head();
        connection.send(
            "HTTP/1.1 418 Teapot\r\nX-A: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n\r\n\
             3\r\nhel\r\n2\r\nlo\r\n0\r\nx-sum: 5\r\n\r\n",
        );
        connection.closed();
    });
    let response = send(&client(), peer.get("/")).unwrap();
    assert_eq!(response.status, 418);
    let values: Vec<_> = response.headers.get_all("x-a").collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(response.body.remaining(), None);
    let (content, trailers) = pollster::block_on(collect(response.body)).unwrap();
    assert_eq!(content, "hello");
    assert_eq!(trailers.unwrap().get("x-sum").unwrap(), "5");
}

#[test]
fn what_remains_of_a_body_is_counted_down() {
    let peer = Peer::new(|mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        connection.closed();
    });
    let mut body = send(&client(), peer.get("/")).unwrap().body;
    assert_eq!((body.remaining(), body.is_end()), (Some(5), false));
    let mut left = 5;
    while let Some(frame) = pollster::block_on(poll_fn(|cx| body.poll_frame(cx))) {
        let Frame::Data(data) = frame.unwrap() else {
            panic!("trailers");
        };
        left -= data.len() as u64;
        assert_eq!(body.remaining(), Some(left));
    }
    assert_eq!((body.remaining(), body.is_end()), (Some(0), true));
}

#[test]
fn the_response_to_a_head_has_a_length_and_no_content() {
    let peer = Peer::new(|mut connection, _| {
        while connection.head().is_some() {
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
        }
    });
    let request = request(Method::Head, &peer.authority(), "/", Parts::none());
    let response = send(&client(), request).unwrap();
    assert_eq!(response.headers.get("content-length").unwrap(), "7");
    assert_eq!(pollster::block_on(collect(response.body)).unwrap().0, "");
}

#[test]
fn informational_responses_are_passed_over() {
    let peer = Peer::new(|mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        connection.closed();
    });
    assert_eq!(content(&client(), peer.get("/")).as_deref(), Ok("ok"));
}

#[test]
fn content_streams_both_ways_at_once() {
    let peer = Peer::new(|mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        loop {
            let chunk = String::from_utf8(connection.chunk()).unwrap();
            connection.send(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
            if chunk.is_empty() {
                return;
            }
        }
    });
    let (content, body) = stream();
    // The head of the response comes before any content of the request.
    let mut echo = send(&client(), peer.post("/", body)).unwrap().body;
    for word in ["one", "two", "three"] {
        content.send(Ok(data(word))).unwrap();
        let frame = pollster::block_on(poll_fn(|cx| echo.poll_frame(cx)));
        assert!(matches!(frame, Some(Ok(Frame::Data(data))) if data == word));
    }
    drop(content);
    assert!(pollster::block_on(poll_fn(|cx| echo.poll_frame(cx))).is_none());
}

#[test]
fn a_large_body_arrives_whole() {
    const SIZE: usize = 4 << 20;
    let peer = Peer::new(|mut connection, _| {
        connection.head();
        let content = String::from_utf8(connection.bytes(SIZE)).unwrap();
        connection.send(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n{content}"
        ));
        connection.closed();
    });
    let text = "0123456789abcdef".repeat(SIZE / 16);
    let got = content(&client(), peer.post("/", Parts::of(&text))).unwrap();
    assert!(got == text, "{} bytes", got.len());
}

#[test]
fn one_connection_serves_one_request_after_the_other() {
    let peer = Peer::new(ok);
    // With one connection at most, a request waits until it is given back.
    let client = builder().max_connections(1).build().unwrap();
    for _ in 0..20 {
        assert_eq!(content(&client, peer.get("/")).as_deref(), Ok("ok"));
    }
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn requests_at_the_same_time_have_connections_of_their_own() {
    // The content comes once there are three.
    let all = Barrier::new(3);
    let peer = Peer::new(move |mut connection, number| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n");
        all.wait();
        connection.send(&number.to_string());
        connection.closed();
    });
    let client = client();
    let open = [(); 3].map(|()| send(&client, peer.get("/")).unwrap().body);
    let mut seen = open.map(|body| pollster::block_on(collect(body)).unwrap().0);
    seen.sort();
    assert_eq!(seen, ["0", "1", "2"]);
}

#[test]
fn a_connection_is_not_used_for_another_port() {
    let (one, two) = (Peer::new(ok), Peer::new(ok));
    // The kept connection is closed to make room.
    let client = builder().max_connections(1).build().unwrap();
    for _ in 0..3 {
        assert_eq!(content(&client, one.get("/")).as_deref(), Ok("ok"));
        assert_eq!(content(&client, two.get("/")).as_deref(), Ok("ok"));
    }
    assert_eq!((one.accepted(), two.accepted()), (3, 3));
}

/// The second request on the first connection is read and not answered.
fn stale(mut connection: Connection, number: usize) {
    for _ in 0..if number == 0 { 1 } else { 9 } {
        if connection.head().is_none() {
            return;
        }
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
    connection.head();
}

#[test]
fn a_get_whose_kept_connection_was_closed_is_sent_again() {
    let peer = Peer::new(stale);
    let client = builder().max_connections(1).build().unwrap();
    for _ in 0..3 {
        assert_eq!(content(&client, peer.get("/")).as_deref(), Ok("ok"));
    }
    assert_eq!(peer.accepted(), 2);
}

#[test]
fn a_post_that_may_have_arrived_is_not_sent_again() {
    let peer = Peer::new(stale);
    let client = builder().max_connections(1).build().unwrap();
    assert_eq!(content(&client, peer.get("/")).as_deref(), Ok("ok"));
    let lost = content(&client, peer.post("/", Parts::of("x")));
    assert_eq!(lost, Err(ErrorCode::ConnectionTerminated));
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_get_over_a_new_connection_is_not_sent_again() {
    let peer = Peer::new(|mut connection, _| {
        connection.head();
    });
    let lost = content(&client(), peer.get("/"));
    assert_eq!(lost, Err(ErrorCode::ConnectionTerminated));
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_connection_that_the_peer_closes_after_a_response_is_no_failure() {
    let peer = Peer::new(|mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    let client = client();
    for _ in 0..50 {
        assert_eq!(content(&client, peer.get("/")).as_deref(), Ok("ok"));
    }
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let (sender, receiver) = channel();
    let peer = Peer::new(move |mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        connection.closed();
        sender.send(()).unwrap();
    });
    let client = builder()
        .idle_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    assert_eq!(content(&client, peer.get("/")).as_deref(), Ok("ok"));
    receiver.recv_timeout(Duration::from_secs(20)).unwrap();
}

#[test]
fn no_idle_connection_is_kept_where_none_is_wanted() {
    let peer = Peer::new(ok);
    let client = builder().max_idle_per_origin(0).build().unwrap();
    for _ in 0..3 {
        assert_eq!(content(&client, peer.get("/")).as_deref(), Ok("ok"));
    }
    assert_eq!(peer.accepted(), 3);
}

#[test]
fn over_the_limit_a_request_waits_for_a_connection() {
    let peer = Peer::new(ok);
    let client = builder().max_connections(1).build().unwrap();
    let held = Peer::new(|mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
        connection.closed();
    });
    let response = send(&client, held.get("/")).unwrap();
    let soon = RequestOptions {
        connect_timeout: Some(50_000_000),
        ..RequestOptions::default()
    };
    let refused = pollster::block_on(client.send(peer.get("/"), soon)).err();
    assert_eq!(refused, Some(ErrorCode::ConnectionLimitReached));
    let waits = client.send(peer.get("/"), RequestOptions::default());
    drop(response);
    assert_eq!(pollster::block_on(waits).unwrap().status, 200);
}

#[test]
fn an_exchange_goes_on_before_its_future_is_polled() {
    let (sender, receiver) = channel();
    let peer = Peer::new(move |mut connection, _| {
        sender.send(connection.head()).unwrap();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        connection.closed();
    });
    let answer = client().send(peer.get("/"), RequestOptions::default());
    receiver
        .recv_timeout(Duration::from_secs(20))
        .unwrap()
        .unwrap();
    assert_eq!(pollster::block_on(answer).unwrap().status, 200);
}

/// Whether the peer sees the connection end after `give_up` had the client and a request.
fn ends(
    start: &'static str,
    give_up: impl FnOnce(&wasi_http::os::OsClient, wasi_http::Request, std::sync::mpsc::Receiver<()>),
) {
    let (arrived, arrival) = channel();
    let (sender, receiver) = channel();
    let peer = Peer::new(move |mut connection, _| {
        connection.head();
        connection.send(start);
        arrived.send(()).unwrap();
        connection.closed();
        sender.send(()).unwrap();
    });
    // The client stays, so that it is not its end that closes.
    let client = client();
    give_up(&client, peer.get("/"), arrival);
    receiver.recv_timeout(Duration::from_secs(20)).unwrap();
}

#[test]
fn dropping_the_future_ends_the_exchange() {
    ends("", |client, request, arrival| {
        let answer = client.send(request, RequestOptions::default());
        arrival.recv().unwrap();
        drop(answer);
    });
}

#[test]
fn dropping_the_body_ends_the_exchange() {
    let start = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nsome";
    ends(start, |client, request, _| {
        drop(send(client, request).unwrap())
    });
}

#[tokio::test]
async fn it_works_inside_of_tokio() {
    let peer = Peer::new(ok);
    let answer = client()
        .send(peer.get("/"), RequestOptions::default())
        .await;
    assert_eq!(collect(answer.unwrap().body).await.unwrap().0, "ok");
}

#[test]
fn a_name_is_resolved() {
    let peer = Peer::new(ok);
    let authority = format!("LocalHost:{}", peer.address.port());
    // Where it has an IPv6 address too, nothing listens there.
    let request = request(Method::Get, &authority, "/", Parts::none());
    assert_eq!(request.scheme, Some(Scheme::Http));
    assert_eq!(content(&client(), request).as_deref(), Ok("ok"));
}
