//! `client.send` and `handler.handle`.

use crate::support::*;
use std::sync::Arc;
use types::{HostRequest, HostRequestWithStore};
use wasi_http::p3::bindings::wasi::http::{client, handler, types};
use wasi_http::p3::{Request, Response, WasiHttp, WasiHttpView};
use wasi_http::{ErrorCode, Fields, Method, Scheme, WasiHttpCtx, memory};
use wasi_sockets::NetworkPolicy;
use wasmtime::Store;
use wasmtime::component::Resource;

type Sent = Result<Resource<Response>, types::ErrorCode>;

/// `client.send`, as far as it comes; what it gives is in the cell once it has come.
fn send(
    store: &mut Store<State>,
    request: Resource<Request>,
) -> Shared<Option<Result<Resource<Response>, ErrorCode>>> {
    let shared = Shared::default();
    let answer = shared.clone();
    store.spawn(Sending { request, answer }).unwrap();
    run(store);
    shared
}

struct Sending {
    request: Resource<Request>,
    answer: Shared<Option<Result<Resource<Response>, ErrorCode>>>,
}

impl wasmtime::component::AccessorTask<State> for Sending {
    async fn run(self, accessor: &wasmtime::component::Accessor<State>) -> wasmtime::Result<()> {
        let accessor = accessor.with_getter::<WasiHttp>(State::http);
        let sent: Sent = client::HostWithStore::send(&accessor, self.request).await?;
        self.answer
            .with(|answer| *answer = Some(sent.map_err(Into::into)));
        Ok(())
    }
}

fn response() -> wasi_http::Response {
    wasi_http::Response {
        status: 200,
        headers: Fields::new(),
        body: Box::new(memory::Empty),
    }
}

fn failed(answer: &Shared<Option<Result<Resource<Response>, ErrorCode>>>) -> Option<ErrorCode> {
    answer.take().and_then(Result::err)
}

#[test]
fn a_request_goes_out_as_it_was_made_and_the_response_comes_back() {
    let client = Held::default();
    let mut store = store(client.ctx());
    let (writer, stream) = Writer::new(&mut store);
    let (promise, future) = Promise::new(&mut store);
    let (request, sent) = new_request(&mut store, &[("a", "1")], Some(stream), future);
    let http = &mut store.data_mut().http();
    http.set_method(borrow(&request), types::Method::Post)
        .unwrap()
        .unwrap();
    http.set_path_with_query(borrow(&request), Some("/b?c".into()))
        .unwrap()
        .unwrap();
    let answer = send(&mut store, request);
    let mut exchange = client.next();
    assert_eq!(exchange.request.method, Method::Post);
    assert_eq!(exchange.request.scheme, Some(Scheme::Http));
    assert_eq!(exchange.request.authority.as_deref(), Some("example.com"));
    assert_eq!(exchange.request.path_with_query.as_deref(), Some("/b?c"));
    assert_eq!(list(&exchange.request.headers), [("a".into(), "1".into())]);
    let body = &mut exchange.request.body;
    assert_eq!(body.remaining(), None);
    assert_eq!(next(body), Part::Waits);

    // The response comes while the request is on its way.
    let (peer, content) = parts();
    let mut found = response();
    found.body = content;
    found.headers.append("connection", "close").unwrap();
    found.headers.append("b", "2").unwrap();
    assert!(exchange.answer.send(Ok(found)).is_ok());
    run(&mut store);
    let received = answer.take().unwrap().unwrap();
    let headers = store.data_mut().http().get_response_headers(&received);
    assert_eq!(headers, [("b".into(), b"2".to_vec())]);
    assert_eq!(outcome(&sent), None);

    writer.write(b"one");
    run(&mut store);
    assert_eq!(next(body), Part::Data("one".into()));
    writer.write(b"two");
    writer.end();
    run(&mut store);
    assert_eq!(next(body), Part::Data("two".into()));
    assert_eq!(next(body), Part::Waits);
    let trailers = fields(&mut store, &[("c", "3")]);
    promise.keep(Ok(Some(trailers)));
    run(&mut store);
    assert_eq!(outcome(&sent), None);
    assert_eq!(next(body), Part::Trailers(vec![("c".into(), "3".into())]));
    assert_eq!(next(body), Part::End);
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Ok(())));

    // What is not read of a response is dropped with it.
    assert!(peer.is_held());
    types::HostResponseWithStore::drop(access(&mut store), received).unwrap();
    assert!(!peer.is_held());
}

trait Headers {
    fn get_response_headers(&mut self, response: &Resource<Response>) -> Vec<(String, Vec<u8>)>;
}

impl Headers for wasi_http::p3::WasiHttpCtxView<'_> {
    fn get_response_headers(&mut self, response: &Resource<Response>) -> Vec<(String, Vec<u8>)> {
        let headers = types::HostResponse::get_headers(self, borrow(response)).unwrap();
        types::HostFields::copy_all(self, headers).unwrap()
    }
}

#[test]
fn a_request_without_content_is_known_to_have_none() {
    let client = Held::default();
    let mut store = store(client.ctx());
    let none = ready(&mut store, Ok(None));
    let (request, sent) = new_request(&mut store, &[], None, none);
    let answer = send(&mut store, request);
    let exchange = client.next();
    assert!(exchange.request.body.is_end());
    assert_eq!(exchange.request.body.remaining(), Some(0));
    assert_eq!(exchange.request.path_with_query, None);
    drop(exchange.request);
    run(&mut store);
    // Nobody knows yet whether anybody received it.
    assert_eq!(outcome(&sent), None);
    assert!(exchange.answer.send(Ok(response())).is_ok());
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Ok(())));
    assert!(answer.take().unwrap().is_ok());
}

#[test]
fn a_request_whose_trailers_are_late_is_sent_before() {
    let client = Held::default();
    let mut store = store(client.ctx());
    let (promise, future) = Promise::new(&mut store);
    let (request, _) = new_request(&mut store, &[("trailer", "a")], None, future);
    let _answer = send(&mut store, request);
    let mut exchange = client.next();
    let body = &mut exchange.request.body;
    assert_eq!(body.remaining(), None);
    assert!(!body.is_end());
    let trailers = fields(&mut store, &[("a", "1")]);
    promise.keep(Ok(Some(trailers)));
    run(&mut store);
    assert_eq!(next(body), Part::Trailers(vec![("a".into(), "1".into())]));
}

#[test]
fn a_peer_that_does_not_read_stops_the_guest() {
    const WINDOW: usize = 4000;
    let client = Held::default();
    let mut store = store(client.ctx().body_window(WINDOW));
    let (writer, stream) = Writer::endless(&mut store);
    let (_promise, future) = Promise::new(&mut store);
    let (request, sent) = new_request(&mut store, &[], Some(stream), future);
    let _answer = send(&mut store, request);
    let mut exchange = client.next();
    // What was taken and does not fit waits at the guest's end.
    let full = WINDOW..=WINDOW + 1000;
    assert!(full.contains(&writer.taken()), "{}", writer.taken());
    let mut read = 0;
    for _ in 0..10 {
        let Part::Data(data) = next(&mut exchange.request.body) else {
            panic!("no content");
        };
        assert!(data.len() <= WINDOW);
        read += data.len();
        run(&mut store);
        assert!(writer.taken() <= read + WINDOW + 1000);
        assert!(writer.taken() >= read + WINDOW);
    }

    // And one that goes away ends it.
    drop(exchange.request.body);
    run(&mut store);
    assert!(writer.gone());
    assert!(exchange.answer.send(Ok(response())).is_ok());
    run(&mut store);
    let gone = Some(Err(ErrorCode::ConnectionTerminated));
    assert_eq!(outcome(&sent), gone);
}

#[test]
fn content_has_the_length_that_was_announced() {
    let short = |size| ErrorCode::HttpRequestBodySize(Some(size));
    for (length, content, expected) in [
        ("3", "abc", Ok(())),
        ("0", "", Ok(())),
        ("3", "ab", Err(short(2))),
        ("3", "abcd", Err(short(4))),
        ("0", "a", Err(short(1))),
    ] {
        let case = format!("{length} {content}");
        let client = Held::default();
        let mut store = store(client.ctx());
        let (writer, stream) = Writer::new(&mut store);
        let none = ready(&mut store, Ok(None));
        let headers = [("content-length", length)];
        let (request, sent) = new_request(&mut store, &headers, Some(stream), none);
        let _answer = send(&mut store, request);
        let mut exchange = client.next();
        assert_eq!(exchange.request.body.remaining(), length.parse().ok());
        writer.write(content.as_bytes());
        writer.end();
        run(&mut store);
        let mut got = String::new();
        let end = loop {
            match next(&mut exchange.request.body) {
                Part::Data(data) => got += str::from_utf8(&data).unwrap(),
                end => break end,
            }
        };
        assert!(content.starts_with(&got), "{case}");
        match &expected {
            Ok(()) => assert_eq!(end, Part::End, "{case}"),
            Err(code) => assert_eq!(end, Part::Failed(code.clone()), "{case}"),
        }
        // The client may find an answer in what it was sent.
        assert!(exchange.answer.send(Ok(response())).is_ok());
        run(&mut store);
        assert_eq!(outcome(&sent), Some(expected), "{case}");
    }
}

#[test]
fn a_request_that_cannot_be_sent_is_refused_and_its_streams_are_dropped() {
    type Change = fn(&mut wasi_http::p3::WasiHttpCtxView<'_>, Resource<Request>);
    let nothing: Change = |_, _| ();
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(Headers, Change, ErrorCode); 5] = [
        (
            &[],
            |http, request| {
                http.set_authority(request, None).unwrap().unwrap();
            },
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            &[],
            |http, request| {
                let authority = Some("user@example.com".into());
                http.set_authority(request, authority).unwrap().unwrap();
            },
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            &[],
            |http, request| {
                let path = Some("a/b".into());
                http.set_path_with_query(request, path).unwrap().unwrap();
            },
            ErrorCode::HttpRequestUriInvalid,
        ),
        (
            &[],
            |http, request| {
                let method = types::Method::Connect;
                http.set_method(request, method).unwrap().unwrap();
            },
            ErrorCode::HttpRequestMethodInvalid,
        ),
        (
            &[("content-length", "5")],
            nothing,
            ErrorCode::HttpRequestBodySize(Some(0)),
        ),
    ];
    for (headers, change, expected) in cases {
        let client = Held::default();
        let mut store = store(client.ctx());
        let (writer, stream) = Writer::new(&mut store);
        let none = ready(&mut store, Ok(None));
        let contents = headers.is_empty().then_some(stream);
        let (request, sent) = new_request(&mut store, headers, contents, none);
        change(&mut store.data_mut().http(), borrow(&request));
        let answer = send(&mut store, request);
        assert_eq!(failed(&answer), Some(expected.clone()));
        assert_eq!(outcome(&sent), Some(Err(expected)));
        assert_eq!(writer.gone(), headers.is_empty());
    }
}

#[test]
fn what_a_policy_denies_is_not_sent_and_fails_with_its_code() {
    let client = Held::default();
    let ctx = client.ctx().policy(NetworkPolicy::new());
    let mut store = store(ctx);
    let (writer, stream) = Writer::new(&mut store);
    let none = ready(&mut store, Ok(None));
    let (request, sent) = new_request(&mut store, &[], Some(stream), none);
    let answer = send(&mut store, request);
    assert_eq!(failed(&answer), Some(ErrorCode::HttpRequestDenied));
    assert_eq!(outcome(&sent), Some(Err(ErrorCode::HttpRequestDenied)));
    writer.write(b"a");
    run(&mut store);
    assert!(writer.gone());
}

#[test]
fn a_request_that_was_never_sent_does_not_report_success() {
    let unsent = ErrorCode::InternalError(Some("the request was not sent".into()));

    // Dropped by the guest.
    let client = Held::default();
    let mut store = store(client.ctx());
    let none = ready(&mut store, Ok(None));
    let (request, sent) = new_request(&mut store, &[], None, none);
    run(&mut store);
    assert_eq!(outcome(&sent), None);
    HostRequestWithStore::drop(access(&mut store), request).unwrap();
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Err(unsent.clone())));

    // The client did not reach anybody.
    let none = ready(&mut store, Ok(None));
    let (request, sent) = new_request(&mut store, &[], None, none);
    let answer = send(&mut store, request);
    let exchange = client.next();
    drop(exchange.request);
    run(&mut store);
    let unreachable = ErrorCode::DestinationNotFound;
    assert!(exchange.answer.send(Err(unreachable.clone())).is_ok());
    run(&mut store);
    assert_eq!(failed(&answer), Some(unreachable.clone()));
    assert_eq!(outcome(&sent), Some(Err(unreachable)));

    // The call was given up.
    let none = ready(&mut store, Ok(None));
    let (request, sent) = new_request(&mut store, &[], None, none);
    let given_up = run_with(&mut store, async |accessor| {
        let sending = client::HostWithStore::send(accessor, request);
        let sending = std::pin::pin!(sending);
        // Until it waits for the client.
        std::future::poll_fn({
            let mut sending = sending;
            let mut turns = 0;
            move |cx| {
                assert!(sending.as_mut().poll(cx).is_pending());
                turns += 1;
                cx.waker().wake_by_ref();
                match turns {
                    10 => std::task::Poll::Ready(()),
                    _ => std::task::Poll::Pending,
                }
            }
        })
        .await;
    });
    assert_eq!(given_up, Some(()));
    let exchange = client.next();
    assert!(exchange.answer.is_canceled());
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Err(unsent)));
}

#[test]
fn an_error_in_place_of_the_trailers_fails_the_request() {
    for with_content in [true, false] {
        let client = Held::default();
        let mut store = store(client.ctx());
        let (writer, stream) = Writer::new(&mut store);
        let (promise, future) = Promise::new(&mut store);
        let contents = with_content.then_some(stream);
        let (request, sent) = new_request(&mut store, &[("trailer", "a")], contents, future);
        let answer = send(&mut store, request);
        let mut exchange = client.next();
        let body = &mut exchange.request.body;
        let code = ErrorCode::InternalError(Some("out of cheese".into()));
        if with_content {
            writer.write(b"partial");
            run(&mut store);
        }
        promise.keep(Err(code.clone().into()));
        run(&mut store);
        if with_content {
            // Its end was not said.
            assert_eq!(next(body), Part::Data("partial".into()));
        }
        assert_eq!(next(body), Part::Failed(code.clone()));
        // As a client whose request broke off.
        let broken = ErrorCode::HttpProtocolError;
        assert!(exchange.answer.send(Err(broken.clone())).is_ok());
        run(&mut store);
        assert_eq!(failed(&answer), Some(broken.clone()));
        assert_eq!(outcome(&sent), Some(Err(broken)));
    }
}

#[test]
fn a_guest_that_goes_leaves_a_request_that_fails() {
    let client = Held::default();
    let mut store = store(client.ctx());
    let (writer, stream) = Writer::new(&mut store);
    // The trailers are there already: only the content's end is missing.
    let none = ready(&mut store, Ok(None));
    let (request, _) = new_request(&mut store, &[], Some(stream), none);
    let _answer = send(&mut store, request);
    let mut exchange = client.next();
    writer.write(b"one");
    run(&mut store);
    drop(store);
    let body = &mut exchange.request.body;
    assert_eq!(next(body), Part::Data("one".into()));
    assert!(matches!(next(body), Part::Failed(_)));
    assert!(exchange.answer.is_canceled());
}

#[test]
fn a_request_of_the_host_is_passed_on_with_its_body() {
    let client = Held::default();
    let mut store = store(client.ctx());
    let (peer, body) = parts();
    let mut request = incoming(body);
    request.headers.append("connection", "close").unwrap();
    request.headers.append("a", "1").unwrap();
    let request = wasi_http::p3::new_request(&mut store, request).unwrap();
    let answer = run_with(&mut store, async |accessor| {
        handler::HostWithStore::handle(accessor, request).await
    });
    // It waits, and was given up: the client has seen it.
    assert!(answer.is_none());
    let mut exchange = client.next();
    assert_eq!(list(&exchange.request.headers), [("a".into(), "1".into())]);
    peer.send("one");
    assert_eq!(next(&mut exchange.request.body), Part::Data("one".into()));
    drop(exchange);
    assert!(!peer.is_held());
}

#[test]
fn handle_is_answered_by_the_client() {
    let found = || {
        Ok(wasi_http::Response {
            status: 204,
            headers: Fields::new(),
            body: Box::new(memory::Empty),
        })
    };
    let client = memory::Service::new(move |_, _| found());
    let mut store = store(WasiHttpCtx::new().client(Arc::new(client)));
    let none = ready(&mut store, Ok(None));
    let (request, sent) = new_request(&mut store, &[], None, none);
    let response = run_with(&mut store, async |accessor| {
        handler::HostWithStore::handle(accessor, request).await
    });
    let response = response.unwrap().unwrap().unwrap();
    let http = &mut store.data_mut().http();
    let status = types::HostResponse::get_status_code(http, borrow(&response));
    assert_eq!(status.unwrap(), 204);
    run(&mut store);
    assert_eq!(outcome(&sent), Some(Ok(())));
}

#[test]
fn the_options_go_with_the_request() {
    let client = Held::default();
    let mut store = store(client.ctx());
    let mut options = wasi_http::GuestRequestOptions::default();
    options.options_mut().unwrap().first_byte_timeout = Some(7);
    let options = store.data_mut().table.push(options).unwrap();
    let headers = fields(&mut store, &[]);
    let none = ready(&mut store, Ok(None));
    let (request, _sent) = <WasiHttp as HostRequestWithStore<State>>::new(
        access(&mut store),
        headers,
        None,
        none,
        Some(options),
    )
    .unwrap();
    let http = &mut store.data_mut().http();
    http.set_authority(borrow(&request), Some("a".into()))
        .unwrap()
        .unwrap();
    let _answer = send(&mut store, request);
    assert_eq!(client.next().options.first_byte_timeout, Some(7));
}
