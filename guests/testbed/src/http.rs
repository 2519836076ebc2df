//! Routes about headers and outgoing requests.

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, HeaderError, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    ResponseOutparam, Scheme, http_error_code,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::body::{read_all, trailers};
use crate::request::Request;
use crate::response::{Reply, text};
use std::fmt::Write as _;

/// Tells the request's head, a line each.
pub fn headers(request: &Request, out: ResponseOutparam) {
    let inner = &request.inner;
    let mut lines = String::new();
    writeln!(lines, "method: {:?}", inner.method()).unwrap();
    writeln!(lines, "scheme: {:?}", inner.scheme()).unwrap();
    writeln!(lines, "authority: {:?}", inner.authority()).unwrap();
    writeln!(lines, "path: {:?}", inner.path_with_query()).unwrap();
    for (name, value) in inner.headers().entries() {
        writeln!(lines, "header {name}: {}", value.escape_ascii()).unwrap();
    }
    text(out, 200, &lines);
}

/// Makes the request with its own method, `x-` headers and body to `url`, and answers
/// with the status, `x-` headers and body of the response.
pub fn proxy(request: Request, out: ResponseOutparam) {
    match fetch(&request) {
        Ok((status, headers, body)) => {
            let body = String::from_utf8_lossy(&body);
            match Reply::with(headers).status(status) {
                Some(reply) => reply.text(out, &body),
                None => text(out, 500, "status refused\n"),
            }
        }
        Err(error) => text(out, 502, &format!("{error}\n")),
    }
}

fn fetch(request: &Request) -> Result<(u16, Fields, Vec<u8>), String> {
    let url = request.param("url").ok_or("no url")?;
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    };
    let refused = |what: &'static str| move |()| format!("{what} refused");

    let outgoing = OutgoingRequest::new(x_headers(&request.headers()));
    let method = request.inner.method();
    let has_body = !matches!(method, Method::Get | Method::Head);
    outgoing.set_method(&method).map_err(refused("method"))?;
    outgoing
        .set_scheme(Some(&scheme))
        .map_err(refused("scheme"))?;
    outgoing
        .set_authority(Some(authority))
        .map_err(refused("authority"))?;
    outgoing
        .set_path_with_query(Some(if path.is_empty() { "/" } else { path }))
        .map_err(refused("path"))?;

    let options = RequestOptions::new();
    let limit = |name| request.param(name)?.parse::<u64>().ok();
    let nanoseconds = |name| limit(name).map(|ms| ms * 1_000_000);
    options
        .set_connect_timeout(nanoseconds("connect"))
        .and_then(|()| options.set_first_byte_timeout(nanoseconds("first")))
        .and_then(|()| options.set_between_bytes_timeout(nanoseconds("between")))
        .map_err(refused("timeout"))?;

    let failed = |code: ErrorCode| format!("{code:?}");
    let body = outgoing.body().map_err(refused("body"))?;
    let future = outgoing_handler::handle(outgoing, Some(options)).map_err(failed)?;
    if has_body {
        let incoming = request.inner.consume().map_err(refused("body"))?;
        let sent =
            read_all(&incoming.stream().map_err(refused("stream"))?).map_err(stream_error)?;
        let stream = body.write().map_err(refused("write"))?;
        for chunk in sent.chunks(4096) {
            // Where the server does not want it, its answer says more than this error.
            if stream.blocking_write_and_flush(chunk).is_err() {
                break;
            }
        }
    }
    let finished = OutgoingBody::finish(body, None);

    let ready = future.subscribe();
    ready.block();
    let response = future
        .get()
        .expect("ready")
        .expect("the first get")
        .map_err(failed)?;
    finished.map_err(failed)?;
    drop(ready);
    let incoming = response.consume().map_err(refused("consume"))?;
    let stream = incoming.stream().map_err(refused("stream"))?;
    let bytes = read_all(&stream).map_err(stream_error)?;
    drop(stream);
    let headers = x_headers(&response.headers());
    for (name, value) in trailers(incoming).map(|t| t.entries()).unwrap_or_default() {
        let _ = headers.append(&format!("x-trailer-{name}"), &value);
    }
    Ok((response.status(), headers, bytes))
}

fn stream_error(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".into(),
        StreamError::LastOperationFailed(error) => match http_error_code(&error) {
            Some(code) => format!("body {code:?}"),
            None => format!("body {}", error.to_debug_string()),
        },
    }
}

/// A mutable copy of the headers that begin with `x-`.
fn x_headers(headers: &Fields) -> Fields {
    let copy = Fields::new();
    for (name, value) in headers.entries() {
        if name.starts_with("x-") {
            copy.append(&name, &value).expect("a header that was one");
        }
    }
    copy
}

/// Appends headers of `size` bytes until the host refuses, at most `n`, and sends them
/// where `send` is given.
pub fn huge_headers(request: &Request, out: ResponseOutparam) {
    let value = vec![b'x'; request.number("size", 8192) as usize];
    let n = request.number("n", 100_000);
    let headers = Fields::new();
    let mut appended = 0;
    let refused = loop {
        if appended == n {
            break None;
        }
        match headers.append(&format!("x-{appended}"), &value) {
            Ok(()) => appended += 1,
            Err(error) => break Some(error),
        }
    };
    let line = format!("appended {appended} refused {refused:?}\n");
    match request.param("send") {
        Some(_) => Reply::with(headers).text(out, &line),
        None => text(out, 200, &line),
    }
}

/// What the host says to headers that it must refuse.
pub fn bad_headers(out: ResponseOutparam) {
    let mut lines = String::new();
    let mut say = |what: &str, result: Result<(), HeaderError>| {
        writeln!(lines, "{what}: {result:?}").unwrap();
    };
    let fields = Fields::new();
    say("plain", fields.append("x-plain", b"a"));
    say("empty name", fields.append("", b"a"));
    say("space in name", fields.append("x y", b"a"));
    say("newline in value", fields.append("x-y", b"a\r\nb: c"));
    say("set newline", fields.set("x-y", &[b"a\nb".to_vec()]));
    for name in [
        "connection",
        "Host",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
    ] {
        say(name, fields.append(name, b"a"));
    }
    say("delete bad name", fields.delete("x y"));
    let list = [("x y".to_string(), b"a".to_vec())];
    say("from-list bad name", Fields::from_list(&list).map(drop));
    let reply = crate::bindings::wasi::http::types::OutgoingResponse::new(fields);
    say("immutable append", reply.headers().append("x-z", b"a"));
    say("immutable delete", reply.headers().delete("x-plain"));
    text(out, 200, &lines);
}
