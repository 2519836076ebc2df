//! Requests and responses before they are sent, and options.

use super::OK;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions,
    Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::checks::Checks;

const FAILED: Result<(), ()> = Err(());

pub fn run(checks: &mut Checks) {
    requests(checks);
    responses(checks);
    options(checks);
    lengths(checks);
}

fn requests(checks: &mut Checks) {
    let request = OutgoingRequest::new(Fields::new());
    checks.eq(
        "outgoing-request.method: at first",
        request.method(),
        Method::Get,
    );
    checks.eq(
        "outgoing-request.path-with-query: at first",
        request.path_with_query(),
        None::<()>,
    );
    checks.eq(
        "outgoing-request.scheme: at first",
        request.scheme(),
        None::<()>,
    );
    checks.eq(
        "outgoing-request.authority: at first",
        request.authority(),
        None::<()>,
    );
    checks.eq(
        "outgoing-request.headers: at first",
        request.headers().entries().len(),
        0,
    );
    for method in [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Connect,
        Method::Options,
        Method::Trace,
        Method::Patch,
        Method::Other("PURGE".into()),
    ] {
        checks.eq(
            format!("set-method: {method:?}"),
            request.set_method(&method),
            OK,
        );
        checks.eq("method: as set", request.method(), method);
    }
    for name in ["", "A B", "A\r\nB", "é", "A/B"] {
        let set = request.set_method(&Method::Other(name.into()));
        checks.eq(format!("set-method: {name:?}"), set, FAILED);
    }
    checks.eq(
        "set-method: as it was",
        request.method(),
        Method::Other("PURGE".into()),
    );

    for path in ["/", "/a/b?c=d&e", "?q", "/%20", "*"] {
        checks.eq(
            format!("set-path-with-query: {path}"),
            request.set_path_with_query(Some(path)),
            OK,
        );
        checks.eq(
            "path-with-query: as set",
            request.path_with_query(),
            Some(path),
        );
    }
    for path in ["/ ", "/a b", "/\r\n", "/\0", "no-slash"] {
        let set = request.set_path_with_query(Some(path));
        checks.eq(format!("set-path-with-query: {path:?}"), set, FAILED);
    }
    checks.eq(
        "set-path-with-query: as it was",
        request.path_with_query(),
        Some("*"),
    );
    checks.eq(
        "set-path-with-query: none",
        request.set_path_with_query(None),
        OK,
    );
    checks.eq(
        "path-with-query: none",
        request.path_with_query(),
        None::<()>,
    );

    for scheme in [Scheme::Http, Scheme::Https, Scheme::Other("unix".into())] {
        checks.eq(
            format!("set-scheme: {scheme:?}"),
            request.set_scheme(Some(&scheme)),
            OK,
        );
        checks.eq("scheme: as set", request.scheme(), Some(scheme));
    }
    for name in ["", "1a", "a b", "a:", "ü"] {
        let set = request.set_scheme(Some(&Scheme::Other(name.into())));
        checks.eq(format!("set-scheme: {name:?}"), set, FAILED);
    }
    checks.eq(
        "set-scheme: as it was",
        request.scheme(),
        Some(Scheme::Other("unix".into())),
    );
    checks.eq("set-scheme: none", request.set_scheme(None), OK);
    checks.eq("scheme: none", request.scheme(), None::<()>);

    for authority in [
        "localhost",
        "example.com:80",
        "127.0.0.1:8080",
        "[::1]:80",
        "a-b.c",
    ] {
        checks.eq(
            format!("set-authority: {authority}"),
            request.set_authority(Some(authority)),
            OK,
        );
        checks.eq("authority: as set", request.authority(), Some(authority));
    }
    for authority in [
        "", " ", "a b", "a/b", "a:99999", "a:b", "[::1", "a\r\nb", "a?b", "a#b",
    ] {
        let set = request.set_authority(Some(authority));
        checks.eq(format!("set-authority: {authority:?}"), set, FAILED);
    }
    checks.eq(
        "set-authority: as it was",
        request.authority(),
        Some("a-b.c"),
    );
    checks.eq("set-authority: none", request.set_authority(None), OK);
    checks.eq("authority: none", request.authority(), None::<()>);

    let body = request.body();
    checks.that("outgoing-request.body", body.is_ok());
    checks.that("outgoing-request.body: once", request.body().is_err());
    let body = body.expect("a body");
    let stream = body.write();
    checks.that("outgoing-body.write", stream.is_ok());
    checks.that("outgoing-body.write: once", body.write().is_err());
}

fn responses(checks: &mut Checks) {
    let fields = Fields::new();
    fields.append("a", b"1").expect("a field");
    let response = OutgoingResponse::new(fields);
    checks.eq(
        "outgoing-response.status-code: at first",
        response.status_code(),
        200,
    );
    for code in [100, 204, 418, 599, 999] {
        checks.eq(
            format!("set-status-code: {code}"),
            response.set_status_code(code),
            OK,
        );
        checks.eq("status-code: as set", response.status_code(), code);
    }
    for code in [0, 99, 1000, u16::MAX] {
        checks.eq(
            format!("set-status-code: {code}"),
            response.set_status_code(code),
            FAILED,
        );
    }
    checks.eq("set-status-code: as it was", response.status_code(), 999);
    let headers = response.headers();
    checks.eq("outgoing-response.headers", headers.get("a"), [b"1"]);
    checks.that(
        "outgoing-response.headers: immutable",
        headers.delete("a").is_err(),
    );
    drop(headers);
    let body = response.body();
    checks.that("outgoing-response.body", body.is_ok());
    checks.that("outgoing-response.body: once", response.body().is_err());
    let finished = OutgoingBody::finish(body.expect("a body"), None);
    checks.that("outgoing-body.finish", finished.is_ok());
}

fn options(checks: &mut Checks) {
    let options = RequestOptions::new();
    type Get = fn(&RequestOptions) -> Option<u64>;
    type Set = fn(&RequestOptions, Option<u64>) -> Result<(), ()>;
    let all: [(&str, Get, Set); 3] = [
        (
            "connect-timeout",
            RequestOptions::connect_timeout,
            RequestOptions::set_connect_timeout,
        ),
        (
            "first-byte-timeout",
            RequestOptions::first_byte_timeout,
            RequestOptions::set_first_byte_timeout,
        ),
        (
            "between-bytes-timeout",
            RequestOptions::between_bytes_timeout,
            RequestOptions::set_between_bytes_timeout,
        ),
    ];
    for (name, get, set) in all {
        checks.eq(format!("{name}: at first"), get(&options), None::<()>);
        for value in [Some(1), Some(u64::MAX), None] {
            checks.eq(format!("set-{name}: {value:?}"), set(&options, value), OK);
            checks.eq(format!("{name}: {value:?}"), get(&options), value);
        }
    }
}

/// A body that is not as long as its `Content-Length`.
fn lengths(checks: &mut Checks) {
    let request = |length: &[u8]| {
        let fields = Fields::new();
        fields.append("content-length", length).expect("a field");
        OutgoingRequest::new(fields)
    };
    for (length, sent, result) in [
        ("4", 4, Ok(())),
        ("0", 0, Ok(())),
        ("4", 3, Err(ErrorCode::HttpRequestBodySize(Some(3)))),
        ("4", 0, Err(ErrorCode::HttpRequestBodySize(Some(0)))),
    ] {
        let request = request(length.as_bytes());
        let body = request.body().expect("a body");
        let stream = body.write().expect("a stream");
        stream.check_write().expect("a permit");
        stream.write(&b"xxxx"[..sent]).expect("to write");
        drop(stream);
        let finished = OutgoingBody::finish(body, None);
        checks.eq(
            format!("outgoing-body.finish: {sent} of {length}"),
            finished,
            result,
        );
    }
    let request = request(b"4");
    let body = request.body().expect("a body");
    let stream = body.write().expect("a stream");
    stream.check_write().expect("a permit");
    let written = stream.write(b"xxxxx");
    checks.that("outgoing-body: more than content-length", written.is_err());
    if let Err(StreamError::LastOperationFailed(error)) = written {
        let code = crate::bindings::wasi::http::types::http_error_code(&error);
        checks.eq(
            "http-error-code: more than content-length",
            code,
            Some(ErrorCode::HttpRequestBodySize(Some(5))),
        );
    }
    drop(stream);
    let finished = OutgoingBody::finish(body, None);
    checks.that(
        "outgoing-body.finish: more than content-length",
        finished.is_err(),
    );
}
