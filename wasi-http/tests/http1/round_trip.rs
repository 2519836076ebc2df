//! The client and the server with each other, and bodies in pieces.

use crate::support::*;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use wasi_error::http::ErrorCode;
use wasi_http::memory::Frames;
use wasi_http::{Frame, Method, Request, Response};

/// The request's content and trailers as they came.
async fn echo(request: Request) -> Response {
    Response {
        status: 201,
        headers: request.headers,
        body: request.body,
    }
}

#[test]
fn content_trailers_and_fields_make_the_way_there_and_back() {
    let world = World::new();
    world.serve(world.server(), echo);
    let client = world.builder().build();
    for _ in 0..3 {
        let trailers = fields(&[("x-sum", "5"), ("x-sum", "6")]);
        let body = Frames::new([
            data("ab"),
            data("cde"),
            Ok(Frame::Trailers(trailers.clone())),
        ]);
        let mut request = request(Method::Post, "/", body);
        request.headers = fields(&[("x-a", "1"), ("x-a", "2")]);
        let response = world.send(&client, request).take().unwrap().unwrap();
        assert_eq!(response.status, 201);
        let values: Vec<_> = response.headers.get_all("x-a").collect();
        assert_eq!(values, ["1", "2"]);
        let read = world.read(response.body).take().unwrap();
        assert_eq!(read.text(), "abcde");
        assert_eq!(read.trailers, Some(trailers));
    }
}

#[test]
fn both_bodies_go_at_once() {
    let world = World::new();
    world.serve(world.server(), echo);
    let client = world.builder().build();
    let hand = Hand::default();
    let sent = world.send(&client, request(Method::Post, "/", hand.body()));
    let response = sent.take().unwrap().unwrap();
    let reading = world.read(response.body);
    for part in ["a", "b", "c"] {
        hand.put(data(part), &world);
    }
    assert!(reading.take().is_none());
    hand.end(&world);
    assert_eq!(reading.take().unwrap().text(), "abc");
}

fn frames(parts: &[Vec<u8>]) -> Vec<Result<Frame, ErrorCode>> {
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts
        .map(|part| Ok(Frame::Data(Bytes::from(part.clone()))))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Parts longer and shorter than what is copied, written and read at once.
    #[test]
    fn any_content_makes_the_way_there_and_back(
        parts in vec(vec(any::<u8>(), 0..40_000), 0..6),
        sized in any::<bool>(),
    ) {
        let world = World::new();
        world.serve(world.server(), echo);
        let client = world.builder().build();
        let content = parts.concat();
        let mut request = request(Method::Post, "/", Frames::new(frames(&parts)));
        if sized {
            let length = content.len().to_string();
            request.headers.append("content-length", length).unwrap();
        }
        let response = world.send(&client, request).take().unwrap().unwrap();
        let read = world.read(response.body).take().unwrap();
        prop_assert_eq!(read.error, None);
        prop_assert!(read.content == content);
    }

    /// However a message is cut on its way, it is the same.
    #[test]
    fn a_message_in_any_pieces_is_the_same(
        parts in vec(vec(any::<u8>(), 0..60), 0..6),
        coding in 0..3,
        extension in "(;[a-z]{0,5})?",
        trailer in any::<bool>(),
        cuts in vec(1..40usize, 1..60),
    ) {
        let content = parts.concat();
        let mut message = Vec::from(b"HTTP/1.1 200 OK\r\nx-a: 1\r\n");
        let trailer = trailer && coding == 0;
        match coding {
            0 => {
                message.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for part in parts.iter().filter(|part| !part.is_empty()) {
                    message.extend_from_slice(format!("{:x}{extension}\r\n", part.len()).as_bytes());
                    message.extend_from_slice(part);
                    message.extend_from_slice(b"\r\n");
                }
                message.extend_from_slice(b"0\r\n");
                message.extend_from_slice(if trailer { b"x-t: 1\r\n\r\n" } else { b"\r\n" });
            }
            1 => {
                let length = format!("content-length: {}\r\n\r\n", content.len());
                message.extend_from_slice(length.as_bytes());
                message.extend_from_slice(&content);
            }
            _ => {
                message.extend_from_slice(b"\r\n");
                message.extend_from_slice(&content);
            }
        }
        let world = World::new();
        let listener = world.listen();
        let client = world.builder().build();
        let pending = world.send(&client, get("/"));
        let server = Raw::accept(&listener, &world).unwrap();
        let (mut rest, mut cuts) = (&message[..], cuts.iter().cycle());
        let mut reading = None;
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            server.send(piece);
            rest = left;
            if let Some(response) = pending.take() {
                reading = Some(world.read(response.unwrap().body));
            }
        }
        server.shut();
        let read = reading.expect("no head").take().expect("no end");
        prop_assert_eq!(read.error, None);
        prop_assert!(read.content == content);
        prop_assert_eq!(read.trailers.is_some(), trailer);
    }
}
