//! Responses of a guest, taken by the host.

use crate::support::*;
use types::{HostResponse, HostResponseWithStore};
use wasi_http::p3::bindings::wasi::http::{client, types};
use wasi_http::p3::{WasiHttpView, take_response};
use wasi_http::{ErrorCode, WasiHttpCtx, memory};
use wasmtime::Store;

fn new() -> Store<State> {
    store(WasiHttpCtx::new())
}

#[test]
fn a_response_is_sent_while_it_is_written_and_the_guest_learns_of_its_end() {
    let mut store = new();
    let (writer, stream) = Writer::new(&mut store);
    let (promise, future) = Promise::new(&mut store);
    let (response, sent) = new_response(&mut store, &[("a", "1")], Some(stream), future);
    let http = &mut store.data_mut().http();
    http.set_status_code(borrow(&response), 404)
        .unwrap()
        .unwrap();
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(list(&response.headers), [("a".into(), "1".into())]);
    let body = &mut response.body;
    assert_eq!(body.remaining(), None);
    writer.write(b"one");
    run(&mut store);
    assert_eq!(next(body), Part::Data("one".into()));
    writer.end();
    run(&mut store);
    assert_eq!(next(body), Part::Waits);
    let trailers = fields(&mut store, &[("b", "2")]);
    promise.keep(Ok(Some(trailers)));
    run(&mut store);
    assert_eq!(outcome(&sent), None);
    assert_eq!(next(body), Part::Trailers(vec![("b".into(), "2".into())]));
    assert_eq!(next(body), Part::End);
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Ok(())));
    assert!(store.data().table.is_empty());
}

#[test]
fn content_has_the_length_that_was_announced() {
    let wrong = |size| ErrorCode::HttpResponseBodySize(Some(size));
    for (length, content, expected) in [
        ("3", Some("abc"), Ok(())),
        ("3", Some("ab"), Err(wrong(2))),
        ("3", Some("abcd"), Err(wrong(4))),
        ("3", None, Err(wrong(0))),
        ("0", None, Ok(())),
    ] {
        let case = format!("{length} {content:?}");
        let mut store = new();
        let (writer, stream) = Writer::new(&mut store);
        let none = ready(&mut store, Ok(None));
        let headers = [("content-length", length)];
        let contents = content.map(|_| stream);
        let (response, sent) = new_response(&mut store, &headers, contents, none);
        let mut response = take_response(&mut store, response).unwrap().unwrap();
        let body = &mut response.body;
        writer.write(content.unwrap_or_default().as_bytes());
        writer.end();
        run(&mut store);
        let end = loop {
            match next(body) {
                Part::Data(_) => {}
                end => break end,
            }
        };
        match &expected {
            Ok(()) => assert_eq!(end, Part::End, "{case}"),
            Err(code) => assert_eq!(end, Part::Failed(code.clone()), "{case}"),
        }
        run(&mut store);
        assert_eq!(outcome(&sent), Some(expected), "{case}");
    }
}

#[test]
fn who_has_all_that_was_announced_has_received_it() {
    let mut store = new();
    let (writer, stream) = Writer::new(&mut store);
    let (_promise, future) = Promise::new(&mut store);
    let headers = [("content-length", "3")];
    let (response, sent) = new_response(&mut store, &headers, Some(stream), future);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    writer.write(b"abc");
    run(&mut store);
    assert_eq!(next(&mut response.body), Part::Data("abc".into()));
    drop(response);
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Ok(())));
    assert!(!writer.gone(), "the guest may be about to end it");
}

#[test]
fn a_peer_that_goes_away_is_told_to_the_guest() {
    let mut store = new();
    let (writer, stream) = Writer::new(&mut store);
    let (_promise, future) = Promise::new(&mut store);
    let (response, sent) = new_response(&mut store, &[], Some(stream), future);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    writer.write(b"one");
    run(&mut store);
    assert_eq!(next(&mut response.body), Part::Data("one".into()));
    drop(response);
    run(&mut store);
    let gone = Some(Err(ErrorCode::ConnectionTerminated));
    assert_eq!(outcome(&sent), gone);
    writer.write(b"two");
    run(&mut store);
    assert!(writer.gone());
}

#[test]
fn an_answer_to_head_may_announce_what_it_does_not_have() {
    let mut store = new();
    let none = ready(&mut store, Ok(None));
    let headers = [("content-length", "3")];
    let (response, sent) = new_response(&mut store, &headers, None, none);
    let response = take_response(&mut store, response).unwrap().unwrap();
    assert_eq!(response.body.remaining(), Some(3));
    run(&mut store);
    drop(response);
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Ok(())));
}

#[test]
fn a_response_without_content_is_known_to_have_none() {
    let mut store = new();
    let (promise, future) = Promise::new(&mut store);
    let (response, sent) = new_response(&mut store, &[], None, future);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    assert_eq!(response.body.remaining(), Some(0));
    assert!(!response.body.is_end());
    promise.keep(Ok(None));
    run(&mut store);
    assert!(response.body.is_end());
    assert_eq!(next(&mut response.body), Part::End);
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Ok(())));
}

#[test]
fn an_error_in_place_of_the_trailers_fails_the_response() {
    let mut store = new();
    let (writer, stream) = Writer::new(&mut store);
    let code = ErrorCode::LoopDetected;
    let future = ready(&mut store, Err(code.clone().into()));
    let (response, sent) = new_response(&mut store, &[], Some(stream), future);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    run(&mut store);
    assert_eq!(next(&mut response.body), Part::Failed(code.clone()));
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Err(code)));
    writer.write(b"a");
    run(&mut store);
    assert!(writer.gone());
}

#[test]
fn a_guest_that_goes_leaves_a_response_that_is_incomplete() {
    let mut store = new();
    let (writer, stream) = Writer::new(&mut store);
    // The trailers are there already: only the content's end is missing.
    let none = ready(&mut store, Ok(None));
    let (response, _) = new_response(&mut store, &[], Some(stream), none);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    writer.write(b"one");
    run(&mut store);
    drop(store);
    assert_eq!(next(&mut response.body), Part::Data("one".into()));
    let incomplete = Part::Failed(ErrorCode::HttpResponseIncomplete);
    assert_eq!(next(&mut response.body), incomplete);
}

#[test]
fn an_informational_response_is_no_answer() {
    let mut store = new();
    let (writer, stream) = Writer::new(&mut store);
    let none = ready(&mut store, Ok(None));
    let (response, sent) = new_response(&mut store, &[], Some(stream), none);
    let http = &mut store.data_mut().http();
    http.set_status_code(borrow(&response), 103)
        .unwrap()
        .unwrap();
    let refused = take_response(&mut store, response).unwrap().map(drop);
    assert_eq!(refused, Err(ErrorCode::HttpProtocolError));
    run(&mut store);
    assert!(writer.gone());
    assert_eq!(outcome(&sent), Some(Err(ErrorCode::HttpProtocolError)));
}

#[test]
fn a_response_that_is_dropped_was_not_sent() {
    let mut store = new();
    let none = ready(&mut store, Ok(None));
    let (response, sent) = new_response(&mut store, &[], None, none);
    HostResponseWithStore::drop(access(&mut store), response).unwrap();
    run(&mut store);
    let unsent = ErrorCode::InternalError(Some("the response was not sent".into()));
    assert_eq!(outcome(&sent), Some(Err(unsent)));
}

#[test]
fn content_that_is_passed_on_is_not_copied_and_goes_on_without_the_guest() {
    static DATA: &str = "all of this stays where it is";
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = consume(&mut store, body, verdict);
    let (response, sent) = new_response(&mut store, &[], Some(stream), end);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    run(&mut store);
    peer.send(DATA);
    // Without a turn of the store.
    let Part::Data(data) = next(&mut response.body) else {
        panic!("no content");
    };
    assert_eq!(data.as_ptr(), DATA.as_ptr());
    assert_eq!(next(&mut response.body), Part::Waits);
    peer.trailers("a", "1");
    assert_eq!(next(&mut response.body), Part::Waits);
    run(&mut store);
    let trailers = Part::Trailers(vec![("a".into(), "1".into())]);
    assert_eq!(next(&mut response.body), trailers);
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Ok(())));
}

#[test]
fn content_that_is_passed_on_has_the_length_that_was_announced() {
    let wrong = |size| Part::Failed(ErrorCode::HttpResponseBodySize(Some(size)));
    for (parts_sent, last) in [
        (&["abc"][..], Part::End),
        (&["ab"], wrong(2)),
        (&["ab", "cd"], wrong(4)),
    ] {
        let mut store = new();
        let (peer, body) = parts();
        let verdict = ready(&mut store, Ok(()));
        let (stream, end) = consume(&mut store, body, verdict);
        let headers = [("content-length", "3")];
        let (response, _) = new_response(&mut store, &headers, Some(stream), end);
        let mut response = take_response(&mut store, response).unwrap().unwrap();
        for part in parts_sent {
            peer.send(part);
        }
        peer.end();
        let end = loop {
            run(&mut store);
            match next(&mut response.body) {
                Part::Data(_) | Part::Waits => {}
                end => break end,
            }
        };
        assert_eq!(end, last, "{parts_sent:?}");
        drop(response);
        run(&mut store);
        assert!(!peer.is_held());
    }
}

#[test]
fn what_fails_or_is_given_up_is_so_for_content_that_is_passed_on() {
    // The peer fails.
    let mut store = new();
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = consume(&mut store, body, verdict);
    let (response, _) = new_response(&mut store, &[], Some(stream), end);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    peer.fail(ErrorCode::ConnectionReadTimeout);
    assert_eq!(next(&mut response.body), Part::Waits);
    run(&mut store);
    let failed = Part::Failed(ErrorCode::ConnectionReadTimeout);
    assert_eq!(next(&mut response.body), failed);

    // The guest fails it, while it is waited for.
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, mut end) = consume(&mut store, body, verdict);
    end.close(&mut store).unwrap();
    let (promise, future) = Promise::new(&mut store);
    let (response, _) = new_response(&mut store, &[], Some(stream), future);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    assert_eq!(next(&mut response.body), Part::Waits);
    promise.keep(Err(ErrorCode::LoopDetected.into()));
    run(&mut store);
    let failed = Part::Failed(ErrorCode::LoopDetected);
    assert_eq!(next(&mut response.body), failed);
    assert!(!peer.is_held());

    // The store goes.
    let (peer, body) = parts();
    let verdict = ready(&mut store, Ok(()));
    let (stream, end) = consume(&mut store, body, verdict);
    let (response, _) = new_response(&mut store, &[], Some(stream), end);
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    run(&mut store);
    drop(store);
    peer.send("one");
    let incomplete = Part::Failed(ErrorCode::HttpResponseIncomplete);
    assert_eq!(next(&mut response.body), incomplete);
    assert!(!peer.is_held());
}

#[test]
fn a_response_of_the_host_is_passed_on_as_it_is() {
    let mut store = new();
    let (peer, body) = parts();
    let found = wasi_http::Response {
        status: 200,
        headers: wasi_http::Fields::new(),
        body,
    };
    let client = std::sync::Mutex::new(Some(found));
    let client = memory::Service::new(move |_, _| Ok(client.lock().unwrap().take().unwrap()));
    store.data_mut().ctx = WasiHttpCtx::new().client(std::sync::Arc::new(client));
    let none = ready(&mut store, Ok(None));
    let (request, _) = new_request(&mut store, &[], None, none);
    let response = run_with(&mut store, async |accessor| {
        client::HostWithStore::send(accessor, request).await
    });
    let response = response.unwrap().unwrap().unwrap();
    let mut response = take_response(&mut store, response).unwrap().unwrap();
    // The guest has no part in it any more.
    drop(store);
    peer.send("one");
    assert_eq!(next(&mut response.body), Part::Data("one".into()));
    peer.end();
    assert_eq!(next(&mut response.body), Part::End);
}

#[test]
fn a_message_of_the_host_that_is_consumed_by_nobody_is_freed_with_the_store() {
    let mut store = new();
    let (peer, body) = parts();
    let _request = wasi_http::p3::new_request(&mut store, incoming(body)).unwrap();
    drop(store);
    assert!(!peer.is_held());
}
