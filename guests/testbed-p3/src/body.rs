//! Routes about bodies.

use crate::bindings::wasi::http::types::{ErrorCode, Fields, Response};
use crate::reply::{Body, Sent, text};
use crate::request::Request;
use crate::waits::pause;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use wit_bindgen::{StreamReader, StreamResult, spawn_local};

/// So much is moved at once.
const CHUNK: usize = 64 * 1024;

/// Reads the next bytes into `buffer`, whose content goes; none at the end.
async fn next(stream: &mut StreamReader<u8>, mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    loop {
        let (result, read) = stream.read(buffer).await;
        buffer = read;
        match result {
            StreamResult::Complete(0) => (),
            _ => return buffer,
        }
    }
}

/// Sends the request's body back as it comes, and its trailers.
pub fn echo(request: Request) -> Result<Response, ErrorCode> {
    let headers = request.fields(|name| ["content-type", "trailer"].contains(&name));
    let (mut stream, trailers) = request.body();
    let (response, mut body, _) = Body::start(headers);
    spawn_local(async move {
        let mut buffer = Vec::with_capacity(CHUNK);
        loop {
            buffer = next(&mut stream, buffer).await;
            if buffer.is_empty() {
                break;
            }
            buffer = body.stream.write_all(buffer).await;
            if !buffer.is_empty() {
                return;
            }
        }
        drop(stream);
        match trailers.await {
            Ok(trailers) => body.finish(trailers).await,
            Err(error) => eprintln!("testbed echo failed: {error:?}"),
        }
    });
    Ok(response)
}

/// Sends the request's body and trailers back without touching them.
pub fn pass(request: Request) -> Result<Response, ErrorCode> {
    let headers = request.fields(|name| ["content-type", "trailer"].contains(&name));
    let (stream, trailers) = request.body();
    Ok(Response::new(headers, Some(stream), trailers).0)
}

/// Reads the request's body and then says how long it is, and which trailers it has.
pub async fn read(request: Request) -> Result<Response, ErrorCode> {
    let (mut stream, trailers) = request.body();
    let len = read_all(&mut stream).await;
    drop(stream);
    let mut lines = format!("read {len} bytes\n");
    match trailers.await {
        Ok(trailers) => {
            for (name, value) in trailers.map(|it| it.copy_all()).unwrap_or_default() {
                lines += &format!("trailer {name}: {}\n", value.escape_ascii());
            }
        }
        Err(error) => lines += &format!("failed {error:?}\n"),
    }
    text(200, &lines)
}

async fn read_all(stream: &mut StreamReader<u8>) -> u64 {
    let mut len = 0;
    let mut buffer = Vec::with_capacity(CHUNK);
    loop {
        buffer = next(stream, buffer).await;
        match buffer.len() {
            0 => return len,
            n => len += n as u64,
        }
    }
}

/// Answers, and only then reads the request's body; says on standard error how long it was.
pub fn early(request: Request) -> Result<Response, ErrorCode> {
    let (response, mut body, _) = Body::start(Fields::new());
    spawn_local(async move {
        if body.write(b"early\n".to_vec()).await.is_ok() {
            body.finish(None).await;
        }
        let (mut stream, trailers) = request.body();
        let len = read_all(&mut stream).await;
        drop(stream);
        let end = trailers.await.map(drop);
        eprintln!("testbed early read {len} bytes, {end:?}");
    });
    Ok(response)
}

/// Reads `n` bytes of the request's body, drops the rest unread, and answers.
pub async fn half(request: Request) -> Result<Response, ErrorCode> {
    let n = request.number("n", 1024) as usize;
    let (mut stream, trailers) = request.body();
    let mut read = 0;
    let mut buffer = Vec::new();
    while read < n {
        buffer.reserve_exact((n - read).min(CHUNK));
        buffer = next(&mut stream, buffer).await;
        match buffer.len() {
            0 => break,
            more => read += more,
        }
    }
    drop(stream);
    drop(trailers);
    text(200, &format!("read {read} of it\n"))
}

/// Answers with `n` bytes.
pub fn bytes(request: &Request) -> Result<Response, ErrorCode> {
    let mut left = request.number("n", 1 << 20);
    let (response, mut body, _) = Body::start(Fields::new());
    spawn_local(async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        while left > 0 {
            chunk.resize(left.min(CHUNK as u64) as usize, b'x');
            left -= chunk.len() as u64;
            chunk = body.stream.write_all(chunk).await;
            if !chunk.is_empty() {
                return;
            }
        }
        body.finish(None).await;
    });
    Ok(response)
}

/// Answers with `n` bytes, one every `ms`, and says on standard error where the client goes.
pub fn drip(request: &Request) -> Result<Response, ErrorCode> {
    let (n, ms) = (request.number("n", 10), request.number("ms", 100));
    let (response, mut body, sent) = Body::start(Fields::new());
    spawn_local(async move {
        for sent in 0..n {
            if sent > 0 {
                pause(ms).await;
            }
            if body.write(b".".to_vec()).await.is_err() {
                eprintln!("testbed drip: the client has gone");
                return;
            }
        }
        body.finish(None).await;
        tell(sent).await;
    });
    Ok(response)
}

/// Sends a part of a body and drops it after `ms`.
pub fn truncate(request: &Request) -> Result<Response, ErrorCode> {
    let ms = request.number("ms", 100);
    let (response, mut body, sent) = Body::start(Fields::new());
    spawn_local(async move {
        let _ = body.write(b"incomplete".to_vec()).await;
        pause(ms).await;
        drop(body);
        tell(sent).await;
    });
    Ok(response)
}

/// Declares a length of `declare` bytes and sends `send`.
pub fn length(request: &Request) -> Result<Response, ErrorCode> {
    let headers = Fields::new();
    let declared = request.number("declare", 10).to_string();
    headers
        .append("content-length", declared.as_bytes())
        .expect("an ordinary header");
    let bytes = vec![b'x'; request.number("send", 10) as usize];
    let (response, mut body, sent) = Body::start(headers);
    spawn_local(async move {
        if body.write(bytes).await.is_ok() {
            body.finish(None).await;
        }
        tell(sent).await;
    });
    Ok(response)
}

/// Says on standard error how sending a response ended.
async fn tell(sent: Sent) {
    eprintln!("testbed sent: {:?}", sent.await);
}

/// Offers the client pieces until one is not taken for `ms`, takes that one back, ends the
/// body, and says in the trailer `x-taken` how many bytes the client has to have.
pub fn cancel(request: &Request) -> Result<Response, ErrorCode> {
    let ms = request.number("ms", 200);
    let headers = Fields::new();
    headers.append("trailer", b"x-taken").expect("a header");
    let (response, mut body, _) = Body::start(headers);
    spawn_local(async move {
        let mut taken = 0;
        loop {
            let mut write = pin!(body.stream.write(vec![b'x'; CHUNK]));
            let mut timer = pin!(pause(ms));
            let written = poll_fn(|context| match write.as_mut().poll(context) {
                Poll::Ready(written) => Poll::Ready(Some(written)),
                Poll::Pending => timer.as_mut().poll(context).map(|()| None),
            });
            let (result, over) = match written.await {
                Some((result, _)) => (result, false),
                None => (write.as_mut().cancel().0, true),
            };
            match result {
                StreamResult::Complete(n) => taken += n,
                StreamResult::Cancelled => (),
                StreamResult::Dropped => return,
            }
            if over {
                break;
            }
        }
        let trailers = Fields::new();
        let taken = taken.to_string();
        trailers
            .append("x-taken", taken.as_bytes())
            .expect("a trailer");
        body.finish(Some(trailers)).await;
    });
    Ok(response)
}
