//! `wasi:http/outgoing-handler`: a request, and its answer. Who answers says what was asked in
//! `x-agave-demo`, and sends the content back. Where the host names nobody who does, this
//! program answers itself, by a socket that listens.

use crate::bindings::wasi::http::outgoing_handler::handle;
use crate::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, Scheme,
};
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::outcome::{Not, Outcome, Tried, ensure, failed};
use crate::tcp::{self, End};
use crate::{streams, told, wait};

const PATH: &str = "/wasi-demo?a=b&c=%20";
const FIELD: &str = "x-agave-demo";
/// The most bytes of a head that are read.
const HEAD: usize = 16 << 10;

pub fn request() -> Outcome {
    let content = streams::pattern(3000);
    if let Some(authority) = told::http_authority() {
        let future = send(authority, &content)?;
        wait::one("response", future.subscribe())?;
        check(&response(&future)?, &content)?;
        return Ok(format!(
            "{} bytes there and back by {authority}",
            content.len()
        ));
    }
    let (listener, authority) = tcp::server()?;
    let future = send(&authority, &content)?;
    let connection = serve(&listener, &future, &content)?;
    wait::one("response", future.subscribe())?;
    check(&response(&future)?, &content)?;
    drop(connection);
    Ok(format!("{} bytes there and back by TCP", content.len()))
}

fn send(authority: &str, content: &[u8]) -> Result<FutureIncomingResponse, Not> {
    let fields = Fields::new();
    let length = content.len().to_string();
    for (name, value) in [("content-length", &*length), (FIELD, "asks")] {
        if let Err(error) = fields.append(name, value.as_bytes()) {
            return failed(format!("fields.append of {name}: {error:?}"));
        }
    }
    let request = OutgoingRequest::new(fields);
    let set = [
        request.set_method(&Method::Post),
        request.set_scheme(Some(&Scheme::Http)),
        request.set_authority(Some(authority)),
        request.set_path_with_query(Some(PATH)),
    ];
    ensure(set.iter().all(Result::is_ok), || {
        format!("setting up the request: {set:?}")
    })?;
    let Ok(body) = request.body() else {
        return failed("outgoing-request.body is not there");
    };
    let future = handle(request, None).granted("handle")?;
    let Ok(stream) = body.write() else {
        return failed("outgoing-body.write is not there");
    };
    // Not flushed: nobody may take it before this program serves. Who answers without reading it
    // closes it, and is judged by the answer.
    let mut rest = content;
    while !rest.is_empty() && streams::write("outgoing-body", &stream, &mut rest).is_ok() {
        if !rest.is_empty() {
            wait::one("outgoing-body", stream.subscribe())?;
        }
    }
    drop(stream);
    let finished = OutgoingBody::finish(body, None);
    if rest.is_empty() {
        finished.granted("outgoing-body.finish")?;
    }
    Ok(future)
}

/// Takes the request that `future` waits for, checks it, and answers; `None` where that has an
/// answer before, which then is an error to look at. The connection stays until the answer came.
fn serve(
    listener: &TcpSocket,
    future: &FutureIncomingResponse,
    content: &[u8],
) -> Result<Option<End>, Not> {
    if !comes("request", listener.subscribe(), future)? {
        return Ok(None);
    }
    let end = tcp::accept(listener)?;
    let Some((head, got)) = read(&end, future)? else {
        return Ok(None);
    };
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let expected = format!("POST {PATH} HTTP/1.1");
    ensure(first == expected, || {
        format!("the request is {first:?}, not {expected:?}")
    })?;
    let field = lines.find(|line| line.eq_ignore_ascii_case("x-agave-demo: asks"));
    ensure(field.is_some(), || format!("the request has no {FIELD}"))?;
    streams::same("the request's content", &got, content)?;

    let length = got.len();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{FIELD}: POST {PATH}\r\nconnection: close\r\n\r\n"
    )
    .into_bytes();
    answer.extend(got);
    let mut rest = &answer[..];
    while !rest.is_empty() {
        streams::write("answer", &end.output, &mut rest)?;
        if !rest.is_empty() && !comes("answer", end.output.subscribe(), future)? {
            break;
        }
    }
    Ok(Some(end))
}

/// Waits until `pollable` is ready, or until there is an answer. Whether it was the first: the
/// client may need to be waited for to go on.
fn comes(what: &str, pollable: Pollable, future: &FutureIncomingResponse) -> Result<bool, Not> {
    wait::unless(what, &pollable, &future.subscribe())
}

/// The head and the content of the request that `future` waits for; `None` where that has an
/// answer before.
fn read(end: &End, future: &FutureIncomingResponse) -> Result<Option<(String, Vec<u8>)>, Not> {
    let mut bytes = Vec::new();
    let mut head = None;
    loop {
        if head.is_none()
            && let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n")
        {
            let text = String::from_utf8_lossy(&bytes[..at]).into_owned();
            bytes.drain(..at + 4);
            let length = text.split("\r\n").find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_it = name.eq_ignore_ascii_case("content-length");
                is_it.then(|| value.trim().parse().ok())?
            });
            let Some(length) = length else {
                return failed(format!("the request has no content-length: {text:?}"));
            };
            head = Some((text, length));
        }
        if let Some((_, length)) = head
            && bytes.len() >= length
        {
            break;
        }
        ensure(bytes.len() <= HEAD, || "the request does not end".into())?;
        match streams::read("request", &end.input, 4096)? {
            None => return failed("the request ended early"),
            Some(part) if part.is_empty() => {
                if !comes("request", end.input.subscribe(), future)? {
                    return Ok(None);
                }
            }
            Some(part) => bytes.extend(part),
        }
    }
    Ok(head.map(|(text, _)| (text, bytes)))
}

fn response(future: &FutureIncomingResponse) -> Result<IncomingResponse, Not> {
    match future.get() {
        Some(Ok(result)) => result.granted("response"),
        Some(Err(())) => failed("future-incoming-response.get: taken before"),
        None => failed("future-incoming-response.get: ready, and not there"),
    }
}

fn check(response: &IncomingResponse, content: &[u8]) -> Result<(), Not> {
    let status = response.status();
    ensure(status == 200, || format!("the status is {status}, not 200"))?;
    let fields = response.headers();
    let said = fields.get(FIELD);
    let expected = format!("POST {PATH}");
    ensure(said == [expected.as_bytes()], || {
        let said: Vec<_> = said.iter().map(|it| String::from_utf8_lossy(it)).collect();
        format!("{FIELD} of the response is {said:?}, not {expected:?}")
    })?;
    drop(fields);
    let Ok(body) = response.consume() else {
        return failed("incoming-response.consume: there is no body");
    };
    let Ok(stream) = body.stream() else {
        return failed("incoming-body.stream: there is none");
    };
    let mut got = Vec::new();
    while got.len() <= content.len() {
        match streams::read("the response's content", &stream, 4096)? {
            None => break,
            Some(part) if part.is_empty() => wait::one("response", stream.subscribe())?,
            Some(part) => got.extend(part),
        }
    }
    streams::same("the response's content", &got, content)?;
    drop(stream);
    let trailers = IncomingBody::finish(body);
    wait::one("trailers", trailers.subscribe())?;
    match trailers.get() {
        Some(Ok(result)) => result.or_failed("trailers").map(drop),
        other => failed(format!(
            "future-trailers.get: {:?}",
            other.map(|it| it.map(drop))
        )),
    }
}
