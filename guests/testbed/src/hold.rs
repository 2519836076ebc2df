//! Routes that make the host hold much.

use crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::bindings::wasi::http::types::{Fields, ResponseOutparam};
use crate::bindings::wasi::io::poll::poll;
use crate::bindings::wasi::random::random::get_random_bytes;
use crate::pause;
use crate::request::Request;
use crate::response::{Reply, text};
use std::mem::forget;
use std::net::TcpStream;

/// Hands the host a list of `mib` MiB, or asks it for one.
pub fn big_list(request: &Request, out: ResponseOutparam) {
    let bytes = request.number("mib", 100) << 20;
    let list = || vec![0u8; bytes as usize];
    match request.param("kind").as_deref() {
        Some("write") => {
            // Whatever `check-write` would allow.
            let body = Reply::new().start(out);
            let _ = body.stream.write(&list());
            eprintln!("testbed biglist write did not trap");
        }
        Some("header") => {
            let result = Fields::new().append("x-big", &list());
            text(out, 200, &format!("header {result:?}\n"));
        }
        _ => {
            let list = get_random_bytes(bytes);
            text(out, 200, &format!("random {} bytes\n", list.len()));
        }
    }
}

/// Makes `n` resources and keeps them.
pub fn handles(request: &Request, out: ResponseOutparam) {
    let n = request.number("n", 1_000_000);
    for _ in 0..n {
        forget(Fields::new());
    }
    text(out, 200, &format!("handles {n}\n"));
}

/// Polls `n` pollables, of which the last is ready after `ms`.
pub fn poll_many(request: &Request, out: ResponseOutparam) {
    const HOUR: u64 = 3_600_000_000_000;
    let n = request.number("n", 1000).max(1);
    let mut pollables: Vec<_> = (1..n).map(|_| subscribe_duration(HOUR)).collect();
    pollables.push(subscribe_duration(request.number("ms", 10) * 1_000_000));
    let ready = poll(&pollables.iter().collect::<Vec<_>>());
    text(out, 200, &format!("ready {ready:?} of {n}\n"));
}

/// Opens `n` connections to `host:port`, says so, and holds them for `ms`.
pub fn sockets(request: &Request, out: ResponseOutparam) {
    let host = request.param("host").unwrap_or("127.0.0.1".into());
    let port = request.number("port", 0) as u16;
    let n = request.number("n", 1);
    let mut open = Vec::new();
    for _ in 0..n {
        match TcpStream::connect((host.as_str(), port)) {
            Ok(stream) => open.push(stream),
            Err(error) => {
                return text(out, 502, &format!("connection {}: {error}\n", open.len()));
            }
        }
    }
    let body = Reply::new().start(out);
    let _ = body.write(format!("holding {n}\n").as_bytes());
    pause(request.number("ms", 3_600_000));
    body.finish(None);
}
