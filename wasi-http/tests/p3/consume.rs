//! `consume-body`.

use crate::support::*;
use types::{HostRequestWithStore, HostResponseWithStore};
use wasi_http::p3::WasiHttp;
use wasi_http::p3::bindings::wasi::http::types;
use wasi_http::{ErrorCode, WasiHttpCtx};
use wasmtime::Store;

const ALL: usize = usize::MAX;

fn new() -> Store<State> {
    store(WasiHttpCtx::new())
}

#[test]
fn content_comes_as_it_is_and_its_end_after_it() {
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = consume(&mut store, body, verdict);
    let reader = Reader::new(&mut store, stream, ALL);
    let end = watch(&mut store, end);
    run(&mut store);
    peer.send("one");
    run(&mut store);
    assert_eq!(reader.bytes(), b"one");
    peer.send("two");
    peer.trailers("a", "1");
    assert!(trailers(&mut store, &end).is_none());
    run(&mut store);
    assert_eq!(reader.bytes(), b"onetwo");
    assert!(reader.ended());
    let expected = vec![("a".into(), "1".into())];
    assert_eq!(trailers(&mut store, &end), Some(Ok(expected)));
}

#[test]
fn a_guest_that_does_not_read_stops_the_peer() {
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = consume(&mut store, body, verdict);
    let reader = Reader::new(&mut store, stream, 0);
    let end = watch(&mut store, end);
    for part in ["abc", "def", "ghi", "jkl"] {
        peer.send(part);
    }
    peer.end();
    run(&mut store);
    // One is on its way.
    assert_eq!(peer.waiting(), 3);
    assert!(reader.bytes().is_empty());
    reader.read(2);
    run(&mut store);
    assert_eq!(reader.bytes(), b"ab");
    assert_eq!(peer.waiting(), 3);
    assert!(trailers(&mut store, &end).is_none());
    reader.read(ALL - 10);
    run(&mut store);
    assert_eq!(reader.bytes(), b"abcdefghijkl");
    assert_eq!(trailers(&mut store, &end), Some(Ok(vec![])));
}

#[test]
fn a_body_that_fails_says_why_after_its_content() {
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = consume(&mut store, body, verdict);
    let reader = Reader::new(&mut store, stream, ALL);
    let end = watch(&mut store, end);
    peer.send("one");
    peer.fail(ErrorCode::ConnectionTerminated);
    run(&mut store);
    assert_eq!(reader.bytes(), b"one");
    assert!(reader.ended());
    let failed = Some(Err(ErrorCode::ConnectionTerminated));
    assert_eq!(trailers(&mut store, &end), failed);
}

#[test]
fn the_end_is_told_to_who_drops_the_content() {
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (mut stream, end) = consume(&mut store, body, verdict);
    let end = watch(&mut store, end);
    peer.send("one");
    run(&mut store);
    assert!(trailers(&mut store, &end).is_none());
    stream.close(&mut store).unwrap();
    run(&mut store);
    assert_eq!(peer.waiting(), 0, "what comes is dropped");
    peer.send("two");
    peer.trailers("a", "1");
    run(&mut store);
    let expected = vec![("a".into(), "1".into())];
    assert_eq!(trailers(&mut store, &end), Some(Ok(expected)));
}

#[test]
fn a_body_is_freed_with_the_last_of_its_ends_whatever_the_verdict_waits_for() {
    let mut store = new();
    for stream_first in [true, false] {
        let (peer, body) = parts();
        let (_verdict, future) = Promise::new(&mut store);
        let (mut stream, mut end) = consume(&mut store, body, future);
        run(&mut store);
        assert!(peer.is_held());
        match stream_first {
            true => stream.close(&mut store).unwrap(),
            false => end.close(&mut store).unwrap(),
        }
        run(&mut store);
        assert!(peer.is_held());
        match stream_first {
            true => end.close(&mut store).unwrap(),
            false => stream.close(&mut store).unwrap(),
        }
        run(&mut store);
        assert!(!peer.is_held());
    }
}

#[test]
fn a_store_that_is_dropped_frees_the_body() {
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = consume(&mut store, body, verdict);
    let _reader = Reader::new(&mut store, stream, ALL);
    let _end = watch(&mut store, end);
    run(&mut store);
    assert!(peer.is_held());
    drop(store);
    assert!(!peer.is_held());
}

#[test]
fn a_bad_verdict_ends_the_body_at_once() {
    let mut store = new();
    let (peer, body) = parts();
    let (verdict, future) = Promise::new(&mut store);
    let (stream, end) = consume(&mut store, body, future);
    let reader = Reader::new(&mut store, stream, ALL);
    let end = watch(&mut store, end);
    peer.send("one");
    run(&mut store);
    assert!(peer.is_held());
    verdict.keep(Err(ErrorCode::LoopDetected.into()));
    run(&mut store);
    assert!(!peer.is_held());
    assert_eq!(reader.bytes(), b"one");
    assert!(reader.ended());
    let ended = Some(Err(ErrorCode::LoopDetected));
    assert_eq!(trailers(&mut store, &end), ended);
}

#[test]
fn a_bad_verdict_frees_a_body_that_nobody_reads() {
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Err(ErrorCode::LoopDetected.into()));
    let (_stream, _end) = consume(&mut store, body, verdict);
    run(&mut store);
    assert!(!peer.is_held());
}

#[test]
fn a_good_verdict_changes_nothing() {
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = consume(&mut store, body, verdict);
    run(&mut store);
    let reader = Reader::new(&mut store, stream, ALL);
    let end = watch(&mut store, end);
    peer.send("one");
    peer.end();
    run(&mut store);
    assert_eq!(reader.bytes(), b"one");
    assert_eq!(trailers(&mut store, &end), Some(Ok(vec![])));
}

#[test]
fn a_guest_that_consumes_its_own_message_gets_what_it_gave_and_gives_the_verdict() {
    for verdict in [Ok(()), Err(ErrorCode::HttpProtocolError)] {
        let mut store = new();
        let (writer, stream) = Writer::new(&mut store);
        let (promise, future) = Promise::new(&mut store);
        let (request, sent) = new_request(&mut store, &[], Some(stream), future);
        let (said, future) = Promise::new(&mut store);
        let (stream, end) = <WasiHttp as HostRequestWithStore<State>>::consume_body(
            access(&mut store),
            request,
            future,
        )
        .unwrap();
        let reader = Reader::new(&mut store, stream, ALL);
        let end = watch(&mut store, end);
        writer.write(b"one");
        run(&mut store);
        assert_eq!(reader.bytes(), b"one");
        writer.end();
        let list = fields(&mut store, &[("a", "1")]);
        promise.keep(Ok(Some(list)));
        run(&mut store);
        assert!(reader.ended());
        let expected = vec![("a".into(), "1".into())];
        assert_eq!(trailers(&mut store, &end), Some(Ok(expected)));
        assert_eq!(outcome(&sent), None);
        said.keep(verdict.clone().map_err(Into::into));
        run(&mut store);
        assert_eq!(outcome(&sent), Some(verdict));
    }
}

#[test]
fn a_message_without_content_gives_an_empty_stream() {
    let mut store = new();
    let none = ready(&mut store, Ok(None));
    let (response, _) = new_response(&mut store, &[], None, none);
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = <WasiHttp as HostResponseWithStore<State>>::consume_body(
        access(&mut store),
        response,
        verdict,
    )
    .unwrap();
    let reader = Reader::new(&mut store, stream, ALL);
    let end = watch(&mut store, end);
    run(&mut store);
    assert!(reader.ended());
    assert!(reader.bytes().is_empty());
    assert_eq!(trailers(&mut store, &end), Some(Ok(vec![])));
}
