//! Routes about bodies.

use crate::bindings::wasi::cli::stdin::get_stdin;
use crate::bindings::wasi::http::types::{Fields, IncomingBody, ResponseOutparam, Trailers};
use crate::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::pause;
use crate::request::Request;
use crate::response::{Reply, text};

/// Sends the request's body back as it comes, and its trailers.
pub fn echo(request: Request, out: ResponseOutparam) {
    let headers = Fields::new();
    for name in ["content-type", "trailer"] {
        if let Some(value) = request.header(name) {
            headers.append(name, &value).expect("an ordinary header");
        }
    }
    let incoming = request.inner.consume().expect("the first body");
    let input = incoming.stream().expect("the first stream");
    let body = Reply::with(headers).start(out);
    loop {
        match input.blocking_read(64 * 1024) {
            Ok(bytes) => {
                if body.write(&bytes).is_err() {
                    return;
                }
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                eprintln!("testbed echo failed: {}", error.to_debug_string());
                return;
            }
        }
    }
    drop(input);
    body.finish(trailers(incoming));
}

/// The trailers of a body that was read to its end.
pub fn trailers(body: IncomingBody) -> Option<Trailers> {
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers = trailers.get()?.ok()?.ok()??;
    // They are immutable as they came, and may belong to their parent.
    Fields::from_list(&trailers.entries()).ok()
}

/// Reads a stream to its end.
pub fn read_all(input: &InputStream) -> Result<Vec<u8>, StreamError> {
    let mut all = Vec::new();
    loop {
        match input.blocking_read(64 * 1024) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}

/// Answers with `n` bytes.
pub fn bytes(request: &Request, out: ResponseOutparam) {
    let mut left = request.number("n", 1 << 20) as usize;
    let chunk = [b'x'; 64 * 1024];
    let body = Reply::new().start(out);
    while left > 0 {
        let now = left.min(chunk.len());
        if body.write(&chunk[..now]).is_err() {
            return;
        }
        left -= now;
    }
    body.finish(None);
}

/// Answers with `n` bytes, one every `ms`.
pub fn drip(request: &Request, out: ResponseOutparam) {
    let ms = request.number("ms", 100);
    let body = Reply::new().start(out);
    for sent in 0..request.number("n", 10) {
        if sent > 0 {
            pause(ms);
        }
        if body.write(b".").is_err() {
            return;
        }
    }
    body.finish(None);
}

/// Sends a part of a body and drops it after `ms`.
pub fn truncate(request: &Request, out: ResponseOutparam) {
    let body = Reply::new().start(out);
    let _ = body.write(b"incomplete");
    pause(request.number("ms", 100));
}

/// Declares a length of `declare` bytes and sends `send`.
pub fn length(request: &Request, out: ResponseOutparam) {
    let headers = Fields::new();
    let declared = request.number("declare", 10).to_string();
    headers
        .append("content-length", declared.as_bytes())
        .expect("an ordinary header");
    let body = Reply::with(headers).start(out);
    let sent = vec![b'x'; request.number("send", 10) as usize];
    match body.write(&sent) {
        Ok(()) => body.finish(None),
        Err(error) => eprintln!("testbed write failed: {error:?}"),
    }
}

/// Writes one byte more than the stream's budget, which must trap.
pub fn overrun(out: ResponseOutparam) {
    let body = Reply::new().start(out);
    let budget = loop {
        match body.stream.check_write() {
            Ok(0) => body.stream.subscribe().block(),
            Ok(budget) => break budget,
            Err(_) => return,
        }
    };
    let _ = body.stream.write(&vec![b'x'; budget as usize + 1]);
    eprintln!("testbed overrun did not trap");
}

/// Reads standard input to its end.
pub fn stdin(out: ResponseOutparam) {
    match read_all(&get_stdin()) {
        Ok(bytes) => text(out, 200, &format!("stdin {} bytes\n", bytes.len())),
        Err(error) => text(out, 500, &format!("stdin {error:?}\n")),
    }
}
