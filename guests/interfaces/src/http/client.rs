//! Requests to the server at `HTTP`, which the host runs or pretends to run:
//! - `/echo` answers with the method and the path as `x-method` and `x-path`, the fields
//!   `x-ask`, the content and the trailers of the request.
//! - `/status/N` answers with that status and no content.
//! - `/cut` declares 10 bytes and sends 4.

use super::OK;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme, http_error_code,
};
use crate::bindings::wasi::io::poll::poll;
use crate::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::checks::Checks;

pub fn run(checks: &mut Checks) {
    exchange(checks);
    echo(checks);
    methods(checks);
    cut(checks);
    invalid(checks);
    given_up(checks);
    if std::env::var("REFUSED").is_ok() {
        refused(checks);
    }
}

fn authority() -> String {
    std::env::var("HTTP").expect("HTTP names a server")
}

/// A request of `path`, without a body.
pub fn request(method: Method, path: &str, fields: Fields) -> OutgoingRequest {
    let request = OutgoingRequest::new(fields);
    request.set_method(&method).expect("a method");
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request
        .set_authority(Some(&authority()))
        .expect("an authority");
    request.set_path_with_query(Some(path)).expect("a path");
    request
}

/// Waits for the response.
pub fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    let ready = future.subscribe();
    ready.block();
    drop(ready);
    future.get().expect("ready").expect("taken once")
}

type Entries = Vec<(String, Vec<u8>)>;

/// A response, read to its end.
pub struct Answer {
    pub status: u16,
    pub fields: Entries,
    pub content: Vec<u8>,
    pub trailers: Result<Option<Entries>, ErrorCode>,
    /// The error of the content, if it has one.
    pub error: Option<ErrorCode>,
}

impl Answer {
    pub fn read(response: IncomingResponse) -> Self {
        Reader::new(response).rest(Vec::new())
    }

    fn field(&self, name: &str) -> Vec<String> {
        let values = self
            .fields
            .iter()
            .filter(|field| field.0.eq_ignore_ascii_case(name));
        values
            .map(|field| String::from_utf8_lossy(&field.1).into_owned())
            .collect()
    }
}

/// Each function of a response, in order.
fn exchange(checks: &mut Checks) {
    let fields = Fields::new();
    fields.append("x-ask", b"1").expect("a field");
    let future = outgoing_handler::handle(request(Method::Get, "/echo?q=1", fields), None);
    checks.that("handle", future.is_ok());
    let future = future.expect("a response to come");
    let ready = future.subscribe();
    ready.block();
    checks.that("future-incoming-response.subscribe", ready.ready());
    drop(ready);
    let response = future
        .get()
        .expect("ready")
        .expect("the first time")
        .expect("a response");
    let again = future.get().map(|it| it.map(drop).map_err(drop));
    checks.eq(
        "future-incoming-response.get: once",
        again,
        Some(Err::<(), _>(())),
    );
    drop(future);
    checks.eq("incoming-response.status", response.status(), 200);
    let headers = response.headers();
    checks.eq("incoming-response.headers", headers.get("x-ask"), [b"1"]);
    checks.eq(
        "incoming-response.headers: of the server",
        headers.get("x-path"),
        [b"/echo?q=1"],
    );
    for (function, code) in [
        ("set", headers.set("a", &[b"2".into()]).err()),
        ("append", headers.append("b", b"2").err()),
        ("delete", headers.delete("x-path").err()),
    ] {
        checks.eq(
            format!("incoming-response.headers: {function}"),
            code,
            Some(HeaderError::Immutable),
        );
    }
    drop(headers);
    let body = response.consume();
    checks.that("incoming-response.consume", body.is_ok());
    checks.that(
        "incoming-response.consume: once",
        response.consume().is_err(),
    );
    drop(response);
    let body = body.expect("a body");
    let stream = body.stream();
    checks.that("incoming-body.stream", stream.is_ok());
    checks.that("incoming-body.stream: once", body.stream().is_err());
    let stream = stream.expect("a stream");
    let end = stream.blocking_read(1);
    checks.that(
        "incoming-body.stream: the end",
        matches!(end, Err(StreamError::Closed)),
    );
    drop(stream);
    let trailers = IncomingBody::finish(body);
    let ready = trailers.subscribe();
    ready.block();
    checks.that("future-trailers.subscribe", ready.ready());
    drop(ready);
    let got = trailers.get();
    let none = matches!(&got, Some(Ok(Ok(fields))) if fields.as_ref().is_none_or(|it| it.entries().is_empty()));
    checks.that("future-trailers.get: none", none);
    drop(got);
    let again = trailers.get().map(|it| it.map(drop).map_err(drop));
    checks.eq("future-trailers.get: once", again, Some(Err::<(), _>(())));
}

fn echo(checks: &mut Checks) {
    let large: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    for (what, content, length, trailer) in [
        ("nothing", &b""[..], false, false),
        ("some", b"hello", false, false),
        ("of a length", b"hello", true, false),
        ("with trailers", b"hello", false, true),
        ("300 KB", &large, false, false),
    ] {
        let fields = Fields::new();
        fields.append("x-ask", b"one").expect("a field");
        fields.append("x-ask", b"two").expect("a field");
        if length {
            let length = content.len().to_string();
            fields
                .append("content-length", length.as_bytes())
                .expect("a field");
        }
        if trailer {
            fields.append("trailer", b"x-end").expect("a field");
            fields.append("te", b"trailers").expect("a field");
        }
        let request = request(Method::Post, "/echo", fields);
        let body = request.body().expect("a body");
        let future = outgoing_handler::handle(request, Some(RequestOptions::new()));
        let future = future.expect("a response to come");
        let stream = body.write().expect("a stream");
        // The server answers as it is sent to: what comes is read meanwhile, or both would wait.
        let mut left = content;
        let mut reader = None;
        let mut got = Vec::new();
        while !left.is_empty() {
            let permit = stream
                .check_write()
                .expect("a permit")
                .min(left.len() as u64) as usize;
            stream.write(&left[..permit]).expect("to write");
            left = &left[permit..];
            if permit == 0 {
                reader = reader.or_else(|| begin(&future));
                match &reader {
                    Some(reader) => {
                        poll(&[&stream.subscribe(), &reader.stream.subscribe()]);
                        got.extend(reader.stream.read(1 << 16).expect("to read"));
                    }
                    None => {
                        poll(&[&stream.subscribe(), &future.subscribe()]);
                    }
                }
            }
        }
        stream.blocking_flush().expect("to flush");
        drop(stream);
        let trailers = trailer.then(|| {
            let trailers = Fields::new();
            trailers.append("x-end", b"last").expect("a field");
            trailers
        });
        let finished = OutgoingBody::finish(body, trailers);
        checks.that(format!("echo: {what}: finish"), finished.is_ok());
        let reader = match reader {
            Some(reader) => reader,
            None => {
                future.subscribe().block();
                begin(&future).expect("a response")
            }
        };
        let answer = reader.rest(got);
        checks.eq(format!("echo: {what}: status"), answer.status, 200);
        checks.eq(
            format!("echo: {what}: method"),
            answer.field("x-method"),
            ["POST"],
        );
        checks.eq(
            format!("echo: {what}: fields"),
            answer.field("x-ask").join(", "),
            "one, two",
        );
        checks.that(format!("echo: {what}: content"), answer.content == content);
        checks.eq(format!("echo: {what}: error"), answer.error, None::<()>);
        let end = answer.trailers.map(|fields| {
            fields.and_then(|fields| fields.into_iter().find(|field| field.0 == "x-end"))
        });
        let expected = trailer.then_some(("x-end", b"last"));
        checks.eq(
            format!("echo: {what}: trailers"),
            end,
            Ok::<_, ()>(expected),
        );
    }
}

/// A response that is being read. The stream goes before its parent.
struct Reader {
    status: u16,
    fields: Entries,
    stream: InputStream,
    body: IncomingBody,
}

/// The response, if it has come.
fn begin(future: &FutureIncomingResponse) -> Option<Reader> {
    let response = future.get()?.expect("taken once").expect("a response");
    Some(Reader::new(response))
}

impl Reader {
    fn new(response: IncomingResponse) -> Self {
        let body = response.consume().expect("a body");
        Self {
            status: response.status(),
            fields: response.headers().entries(),
            stream: body.stream().expect("a stream"),
            body,
        }
    }

    fn rest(self, mut content: Vec<u8>) -> Answer {
        let error = loop {
            match self.stream.blocking_read(1 << 16) {
                Ok(bytes) => content.extend(bytes),
                Err(StreamError::Closed) => break None,
                Err(StreamError::LastOperationFailed(error)) => break http_error_code(&error),
            }
        };
        drop(self.stream);
        let trailers = IncomingBody::finish(self.body);
        trailers.subscribe().block();
        let got = trailers.get().expect("ready").expect("taken once");
        Answer {
            status: self.status,
            fields: self.fields,
            content,
            trailers: got.map(|fields| fields.map(|fields| fields.entries())),
            error,
        }
    }
}

fn methods(checks: &mut Checks) {
    for (method, name) in [
        (Method::Get, "GET"),
        (Method::Put, "PUT"),
        (Method::Delete, "DELETE"),
        (Method::Options, "OPTIONS"),
        (Method::Patch, "PATCH"),
        (Method::Other("PURGE".into()), "PURGE"),
    ] {
        let future = outgoing_handler::handle(request(method, "/echo", Fields::new()), None);
        let answer = future.and_then(|future| wait(&future)).map(Answer::read);
        let got = answer.as_ref().map(|answer| answer.field("x-method"));
        checks.eq(format!("handle: {name}"), got, Ok::<_, ()>([name]));
    }
    for status in [204, 301, 404, 503] {
        let path = format!("/status/{status}");
        let future = outgoing_handler::handle(request(Method::Get, &path, Fields::new()), None);
        let answer = future
            .and_then(|future| wait(&future))
            .map(|it| it.status());
        checks.eq(
            format!("incoming-response.status: {status}"),
            answer,
            Ok::<_, ()>(status),
        );
    }
}

/// `HTTP-response-incomplete`, which the stream and the trailers tell.
fn cut(checks: &mut Checks) {
    let future = outgoing_handler::handle(request(Method::Get, "/cut", Fields::new()), None);
    let answer = Answer::read(wait(&future.expect("a response to come")).expect("a response"));
    checks.eq("cut: what came before", answer.content, b"half");
    checks.eq(
        "cut: http-error-code",
        answer.error,
        Some(ErrorCode::HttpResponseIncomplete),
    );
    checks.eq(
        "cut: trailers",
        answer.trailers.err(),
        Some(ErrorCode::HttpResponseIncomplete),
    );
}

/// Requests that `handle` has to refuse.
fn invalid(checks: &mut Checks) {
    let handle = |request| outgoing_handler::handle(request, None).err();
    let plain = || request(Method::Get, "/echo", Fields::new());
    let without = plain();
    without.set_authority(None).expect("no authority");
    checks.eq(
        "handle: no authority",
        handle(without),
        Some(ErrorCode::HttpRequestUriInvalid),
    );
    let connect = plain();
    connect.set_method(&Method::Connect).expect("a method");
    checks.eq(
        "handle: CONNECT",
        handle(connect),
        Some(ErrorCode::HttpRequestMethodInvalid),
    );
    let other = plain();
    other
        .set_scheme(Some(&Scheme::Other("gopher".into())))
        .expect("a scheme");
    checks.that(
        "handle: another scheme",
        match outgoing_handler::handle(other, None) {
            Ok(future) => wait(&future).is_err(),
            Err(_) => true,
        },
    );
    for length in ["x", "-1", "1, 1", "99999999999999999999"] {
        let fields = Fields::new();
        // It may be refused here already.
        if fields.append("content-length", length.as_bytes()).is_ok() {
            let code = handle(request(Method::Post, "/echo", fields));
            checks.that(format!("handle: content-length: {length}"), code.is_some());
        } else {
            checks.that(format!("fields.append: content-length: {length}"), true);
        }
    }
    let fields = Fields::new();
    fields.append("content-length", b"5").expect("a field");
    let code = handle(request(Method::Post, "/echo", fields));
    checks.eq(
        "handle: no body of 5 bytes",
        code,
        Some(ErrorCode::HttpRequestBodySize(Some(0))),
    );
}

/// What is dropped half-way harms nothing that comes after.
fn given_up(checks: &mut Checks) {
    let request_with_body = request(Method::Post, "/echo", Fields::new());
    let body = request_with_body.body().expect("a body");
    let future = outgoing_handler::handle(request_with_body, None).expect("a response to come");
    drop(future);
    drop(body);
    let future = outgoing_handler::handle(request(Method::Get, "/echo", Fields::new()), None);
    let response = wait(&future.expect("a response to come")).expect("a response");
    drop(response.consume().expect("a body"));
    drop(response);
    let future = outgoing_handler::handle(request(Method::Get, "/echo", Fields::new()), None);
    let answer = future
        .and_then(|future| wait(&future))
        .map(|it| it.status());
    checks.eq("handle: after what was given up", answer, Ok::<_, ()>(200));
}

/// Only on a machine: a server in memory has no ports. Nobody listens at `REFUSED`.
fn refused(checks: &mut Checks) {
    let request = request(Method::Get, "/", Fields::new());
    let address = std::env::var("REFUSED").expect("an address");
    request.set_authority(Some(&address)).expect("an authority");
    let future = outgoing_handler::handle(request, None);
    let code = future.and_then(|future| wait(&future)).err();
    checks.eq(
        "connection-refused",
        code,
        Some(ErrorCode::ConnectionRefused),
    );

    // `/never` reads the request and is silent.
    let request = super::request(Method::Get, "/never", Fields::new());
    let options = RequestOptions::new();
    let set = options.set_first_byte_timeout(Some(50_000_000));
    checks.eq("set-first-byte-timeout", set, OK);
    let future = outgoing_handler::handle(request, Some(options));
    let code = future.and_then(|future| wait(&future)).err();
    checks.eq(
        "first-byte-timeout",
        code,
        Some(ErrorCode::HttpResponseTimeout),
    );
}
