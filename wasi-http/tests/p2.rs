//! The host functions of WASI 0.2, called as a linker calls them.
#![cfg(feature = "p2")]

use std::sync::Arc;
use std::sync::mpsc;
use wasi_http::memory::{Frames, Service};
use wasi_http::p2::bindings::wasi::http::outgoing_handler;
use wasi_http::p2::bindings::wasi::http::types::{self, *};
use wasi_http::p2::{WasiHttpCtxView, WasiHttpView};
use wasi_http::{GuestFields, ResponseOutparam, WasiHttpCtx, p2};
use wasi_io::StreamError;
use wasmtime::component::{Linker, Resource, ResourceTable};

#[derive(Default)]
struct State {
    ctx: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &self.ctx,
            table: &mut self.table,
        }
    }
}

/// The same handle once more, as a guest borrows it.
fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn own<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_own(resource.rep())
}

fn fields(http: &mut WasiHttpCtxView<'_>, list: &[(&str, &str)]) -> Resource<GuestFields> {
    let list = list
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    HostFields::from_list(http, list.collect())
        .unwrap()
        .unwrap()
}

fn incoming(fields: &[(&'static str, &'static str)]) -> wasi_http::Request {
    let mut headers = wasi_http::Fields::new();
    for (name, value) in fields {
        headers.append(*name, *value).unwrap();
    }
    wasi_http::Request {
        method: wasi_http::Method::Post,
        scheme: Some(wasi_http::Scheme::Http),
        authority: Some("example.com".into()),
        path_with_query: Some("/a?b".into()),
        headers,
        body: Box::new(Frames::new([
            Ok(wasi_http::Frame::Data("content".into())),
            Err(wasi_http::ErrorCode::ConnectionTerminated),
        ])),
        grant: None,
    }
}

#[test]
fn both_interfaces_are_linked_once() {
    let engine = wasmtime::Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    p2::add_to_linker(&mut linker).unwrap();
    assert!(p2::add_to_linker(&mut linker).is_err());
}

#[test]
fn fields_answer_as_their_methods_say() {
    let mut state = State::default();
    let mut http = state.http();
    let fields = fields(&mut http, &[("A", "1"), ("b", ""), ("a", "2")]);
    let http = &mut http;
    let get = |http: &mut WasiHttpCtxView<'_>, name: &str| {
        HostFields::get(http, borrow(&fields), name.into()).unwrap()
    };
    assert_eq!(get(http, "a"), [b"1", b"2"]);
    assert_eq!(get(http, "b"), [b""]);
    assert!(get(http, "c c").is_empty());
    assert!(HostFields::has(http, borrow(&fields), "B".into()).unwrap());
    assert!(!HostFields::has(http, borrow(&fields), "".into()).unwrap());

    let copy = HostFields::clone(http, borrow(&fields)).unwrap();
    HostFields::set(http, borrow(&fields), "a".into(), vec![b"3".into()])
        .unwrap()
        .unwrap();
    HostFields::delete(http, borrow(&fields), "b".into())
        .unwrap()
        .unwrap();
    let refused = HostFields::append(http, borrow(&fields), "host".into(), vec![]).unwrap();
    assert!(matches!(refused, Err(HeaderError::Forbidden)));
    let entries = HostFields::entries(http, borrow(&fields)).unwrap();
    assert_eq!(entries, [("a".to_string(), b"3".to_vec())]);
    assert_eq!(HostFields::entries(http, copy).unwrap().len(), 3);
    HostFields::drop(http, fields).unwrap();

    let invalid = HostFields::from_list(http, vec![("a b".into(), vec![])]).unwrap();
    assert!(matches!(invalid, Err(HeaderError::InvalidSyntax)));
}

#[test]
fn the_headers_of_a_request_are_its_immutable_children() {
    let mut state = State::default();
    let request = incoming(&[("Host", "example.com"), ("a", "1")]);
    let request = p2::new_incoming_request(&mut state.table, request).unwrap();
    let mut http = state.http();
    let headers = HostIncomingRequest::headers(&mut http, borrow(&request)).unwrap();
    let refused = HostFields::delete(&mut http, borrow(&headers), "a".into()).unwrap();
    assert!(matches!(refused, Err(HeaderError::Immutable)));
    let entries = HostFields::entries(&mut http, borrow(&headers)).unwrap();
    assert_eq!(entries, [("a".to_string(), b"1".to_vec())]);
    assert!(HostIncomingRequest::drop(&mut http, own(&request)).is_err());
    HostFields::drop(&mut http, headers).unwrap();

    let method = HostIncomingRequest::method(&mut http, borrow(&request)).unwrap();
    assert!(matches!(method, Method::Post));
    let scheme = HostIncomingRequest::scheme(&mut http, borrow(&request)).unwrap();
    assert!(matches!(scheme, Some(Scheme::Http)));
    let authority = HostIncomingRequest::authority(&mut http, borrow(&request)).unwrap();
    assert_eq!(authority.as_deref(), Some("example.com"));
    let path = HostIncomingRequest::path_with_query(&mut http, borrow(&request)).unwrap();
    assert_eq!(path.as_deref(), Some("/a?b"));
    HostIncomingRequest::drop(&mut http, request).unwrap();
    assert!(state.table.is_empty());
}

#[test]
fn a_body_that_failed_gives_its_code_and_needs_its_stream_dropped() {
    let mut state = State::default();
    let request = p2::new_incoming_request(&mut state.table, incoming(&[])).unwrap();
    let mut http = state.http();
    let body = HostIncomingRequest::consume(&mut http, borrow(&request))
        .unwrap()
        .unwrap();
    let again = HostIncomingRequest::consume(&mut http, borrow(&request)).unwrap();
    assert!(again.is_err());
    HostIncomingRequest::drop(&mut http, request).unwrap();

    let stream = HostIncomingBody::stream(&mut http, borrow(&body))
        .unwrap()
        .unwrap();
    let again = HostIncomingBody::stream(&mut http, borrow(&body)).unwrap();
    assert!(again.is_err());
    let input = http.table.get_mut(&stream).unwrap();
    assert_eq!(input.read(100).unwrap(), "content");
    let Err(StreamError::LastOperationFailed(cause)) = input.read(100) else {
        panic!("the body fails")
    };
    let cause = http.table.push(cause).unwrap();
    let code = http.http_error_code(borrow(&cause)).unwrap();
    assert!(matches!(code, Some(ErrorCode::ConnectionTerminated)));
    let other = http.table.push(wasi_io::Error::new(wasi_http::Invalid));
    assert!(http.http_error_code(other.unwrap()).unwrap().is_none());

    assert!(HostIncomingBody::finish(&mut http, own(&body)).is_err());
    assert!(HostIncomingBody::drop(&mut http, own(&body)).is_err());
    http.table.delete(stream).unwrap();
    let future = HostIncomingBody::finish(&mut http, body).unwrap();
    let got = HostFutureTrailers::get(&mut http, borrow(&future)).unwrap();
    assert!(matches!(
        got,
        Some(Ok(Err(ErrorCode::ConnectionTerminated)))
    ));
    let got = HostFutureTrailers::get(&mut http, borrow(&future)).unwrap();
    assert!(matches!(got, Some(Err(()))));
}

#[test]
fn an_exchange_goes_from_the_request_to_the_trailers() {
    let echo = Service::new(|request: wasi_http::Request, options| {
        assert_eq!(options, wasi_http::RequestOptions::default());
        assert_eq!(request.method.as_str(), "PUT");
        Ok(wasi_http::Response {
            status: 202,
            headers: request.headers,
            body: request.body,
        })
    });
    let mut state = State {
        ctx: WasiHttpCtx::new().client(Arc::new(echo)),
        ..State::default()
    };
    let mut http = state.http();
    let http = &mut http;
    let headers = fields(http, &[("a", "1")]);
    let request = HostOutgoingRequest::new(http, headers).unwrap();
    let put = Method::Other("PUT".into());
    let set = HostOutgoingRequest::set_method(http, borrow(&request), put).unwrap();
    assert!(set.is_ok());
    let set = HostOutgoingRequest::set_authority(http, borrow(&request), Some("a b".into()));
    assert!(set.unwrap().is_err());
    let set = HostOutgoingRequest::set_authority(http, borrow(&request), Some("a".into()));
    assert!(set.unwrap().is_ok());
    let body = HostOutgoingRequest::body(http, borrow(&request))
        .unwrap()
        .unwrap();
    assert!(
        HostOutgoingRequest::body(http, borrow(&request))
            .unwrap()
            .is_err()
    );

    let headers = HostOutgoingRequest::headers(http, borrow(&request)).unwrap();
    let early = outgoing_handler::Host::handle(http, own(&request), None);
    assert!(early.is_err(), "a child is still there: a trap");
    HostFields::drop(http, headers).unwrap();
    let options = HostRequestOptions::new(http).unwrap();
    let future = outgoing_handler::Host::handle(http, request, Some(options))
        .unwrap()
        .unwrap();

    let stream = HostOutgoingBody::write(http, borrow(&body))
        .unwrap()
        .unwrap();
    assert!(
        HostOutgoingBody::write(http, borrow(&body))
            .unwrap()
            .is_err()
    );
    let output = http.table.get_mut(&stream).unwrap();
    output.check_write().unwrap();
    output.write(b"content").unwrap().unwrap();
    assert!(HostOutgoingBody::finish(http, own(&body), None).is_err());
    http.table.delete(stream).unwrap();
    let trailers = fields(http, &[("x-sum", "7")]);
    HostOutgoingBody::finish(http, body, Some(trailers))
        .unwrap()
        .unwrap();

    let pollable = HostFutureIncomingResponse::subscribe(http, borrow(&future)).unwrap();
    assert!(HostFutureIncomingResponse::drop(http, own(&future)).is_err());
    http.table.delete(pollable).unwrap();
    let Some(Ok(Ok(response))) = HostFutureIncomingResponse::get(http, borrow(&future)).unwrap()
    else {
        panic!("the service answers at once")
    };
    let again = HostFutureIncomingResponse::get(http, borrow(&future)).unwrap();
    assert!(matches!(again, Some(Err(()))));
    HostFutureIncomingResponse::drop(http, future).unwrap();

    assert_eq!(
        HostIncomingResponse::status(http, borrow(&response)).unwrap(),
        202
    );
    let headers = HostIncomingResponse::headers(http, borrow(&response)).unwrap();
    assert_eq!(
        HostFields::entries(http, borrow(&headers)).unwrap().len(),
        1
    );
    HostFields::drop(http, headers).unwrap();
    let body = HostIncomingResponse::consume(http, borrow(&response))
        .unwrap()
        .unwrap();
    HostIncomingResponse::drop(http, response).unwrap();
    let stream = HostIncomingBody::stream(http, borrow(&body))
        .unwrap()
        .unwrap();
    let input = http.table.get_mut(&stream).unwrap();
    assert_eq!(input.read(100).unwrap(), "content");
    http.table.delete(stream).unwrap();
    let future = HostIncomingBody::finish(http, body).unwrap();
    let Some(Ok(Ok(Some(trailers)))) = HostFutureTrailers::get(http, borrow(&future)).unwrap()
    else {
        panic!("there are trailers")
    };
    let entries = HostFields::entries(http, borrow(&trailers)).unwrap();
    assert_eq!(entries, [("x-sum".to_string(), b"7".to_vec())]);
    let refused = HostFields::set(http, borrow(&trailers), "a".into(), vec![]).unwrap();
    assert!(matches!(refused, Err(HeaderError::Immutable)));
    assert!(HostFutureTrailers::drop(http, own(&future)).is_err());
    HostFields::drop(http, trailers).unwrap();
    HostFutureTrailers::drop(http, future).unwrap();
    assert!(state.table.is_empty());
}

#[test]
fn a_request_without_a_grant_is_denied_at_once() {
    let mut state = State::default();
    let mut http = state.http();
    let headers = HostFields::new(&mut http).unwrap();
    let request = HostOutgoingRequest::new(&mut http, headers).unwrap();
    let authority = Some("a".into());
    HostOutgoingRequest::set_authority(&mut http, borrow(&request), authority)
        .unwrap()
        .unwrap();
    let answer = outgoing_handler::Host::handle(&mut http, request, None).unwrap();
    assert!(matches!(answer, Err(ErrorCode::HttpRequestDenied)));
    assert!(state.table.is_empty());
}

#[test]
fn request_options_keep_what_is_set() {
    let mut state = State::default();
    let mut http = state.http();
    let http = &mut http;
    let options = HostRequestOptions::new(http).unwrap();
    let shared = || borrow(&options);
    assert_eq!(
        HostRequestOptions::connect_timeout(http, shared()).unwrap(),
        None
    );
    HostRequestOptions::set_connect_timeout(http, shared(), Some(1))
        .unwrap()
        .unwrap();
    HostRequestOptions::set_first_byte_timeout(http, shared(), Some(2))
        .unwrap()
        .unwrap();
    HostRequestOptions::set_between_bytes_timeout(http, shared(), Some(3))
        .unwrap()
        .unwrap();
    assert_eq!(
        [
            HostRequestOptions::connect_timeout(http, shared()).unwrap(),
            HostRequestOptions::first_byte_timeout(http, shared()).unwrap(),
            HostRequestOptions::between_bytes_timeout(http, shared()).unwrap(),
        ],
        [Some(1), Some(2), Some(3)]
    );
}

#[test]
fn a_response_goes_out_through_the_outparam() {
    let mut state = State::default();
    let (sender, sent) = mpsc::channel();
    let outparam = ResponseOutparam::new(move |response| sender.send(response).unwrap());
    let outparam = p2::new_response_outparam(&mut state.table, outparam).unwrap();
    let mut http = state.http();
    let http = &mut http;
    let headers = fields(http, &[("content-length", "2")]);
    let response = HostOutgoingResponse::new(http, headers).unwrap();
    assert_eq!(
        HostOutgoingResponse::status_code(http, borrow(&response)).unwrap(),
        200
    );
    let set = HostOutgoingResponse::set_status_code(http, borrow(&response), 1000);
    assert!(set.unwrap().is_err());
    let set = HostOutgoingResponse::set_status_code(http, borrow(&response), 404);
    assert!(set.unwrap().is_ok());
    let body = HostOutgoingResponse::body(http, borrow(&response))
        .unwrap()
        .unwrap();
    let headers = fields(http, &[]);
    let early =
        types::HostResponseOutparam::send_informational(http, borrow(&outparam), 103, headers);
    assert!(matches!(early.unwrap(), Err(ErrorCode::InternalError(_))));
    types::HostResponseOutparam::set(http, outparam, Ok(response)).unwrap();
    let short = HostOutgoingBody::finish(http, body, None).unwrap();
    assert!(matches!(
        short,
        Err(ErrorCode::HttpResponseBodySize(Some(0)))
    ));
    assert!(state.table.is_empty());

    let response = sent.try_recv().unwrap().unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(response.headers.get("Content-Length").unwrap(), "2");
}
