//! What the host is tested against on WASI 0.3: a service whose routes misbehave, each in a
//! way of its own. The README lists them.

#![cfg(target_arch = "wasm32")]

mod body;
mod outgoing;
mod reply;
mod request;
mod shared;
mod streams;
mod waits;

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/p3/clocks",
            "../wit/p3/random",
            "../wit/p3/filesystem",
            "../wit/p3/sockets",
            "../wit/p3/cli",
            "../wit/p3/http",
            "wit",
        ],
        world: "agave:testbed-p3/testbed",
        generate_all,
    });
    export!(Testbed);

    use super::Testbed;
}

use bindings::exports::wasi::http::handler::Guest;
use bindings::wasi::http::types::{self, ErrorCode, Fields, HeaderError, Response};
use reply::text;
use request::Request;
use std::fmt::Write as _;

struct Testbed;

impl Guest for Testbed {
    async fn handle(request: types::Request) -> Result<Response, ErrorCode> {
        shared::count();
        let request = Request::new(request);
        match request.path.as_str() {
            "/hello" => text(200, "hello\n"),
            "/status" => status(&request),
            "/headers" => headers(&request),
            "/badheaders" => bad_headers(),
            "/count" => shared::counted(),
            "/error" => Err(ErrorCode::LoopDetected),
            "/trap" => waits::trap(&request).await,
            "/panic" => panic!("asked to panic"),
            "/spin" => waits::spin(),
            "/never" => waits::never().await,
            "/sleep" => waits::sleep(&request).await,
            "/block" => waits::block(&request),
            "/wait" => waits::gate(&request).await,
            "/open" => shared::open(&request),
            "/echo" => body::echo(request),
            "/pass" => body::pass(request),
            "/early" => body::early(request),
            "/half" => body::half(request).await,
            "/read" => body::read(request).await,
            "/bytes" => body::bytes(&request),
            "/drip" => body::drip(&request),
            "/truncate" => body::truncate(&request),
            "/length" => body::length(&request),
            "/cancel" => body::cancel(&request),
            "/after" => waits::after(&request),
            "/streams" => streams::pairs(&request).await,
            "/requests" => streams::requests(&request).await,
            "/proxy" => outgoing::proxy(request).await,
            "/abandon" => outgoing::abandon(&request).await,
            _ => text(404, "no such route\n"),
        }
    }
}

fn status(request: &Request) -> Result<Response, ErrorCode> {
    let response = text(200, "status\n")?;
    match response.set_status_code(request.number("code", 200) as u16) {
        Ok(()) => Ok(response),
        Err(()) => text(500, "status refused\n"),
    }
}

/// Tells the request's head, a line each.
fn headers(request: &Request) -> Result<Response, ErrorCode> {
    let inner = &request.inner;
    let mut lines = String::new();
    writeln!(lines, "method: {:?}", inner.get_method()).unwrap();
    writeln!(lines, "scheme: {:?}", inner.get_scheme()).unwrap();
    writeln!(lines, "authority: {:?}", inner.get_authority()).unwrap();
    writeln!(lines, "path: {:?}", inner.get_path_with_query()).unwrap();
    writeln!(lines, "options: {}", inner.get_options().is_some()).unwrap();
    for (name, value) in inner.get_headers().copy_all() {
        writeln!(lines, "header {name}: {}", value.escape_ascii()).unwrap();
    }
    text(200, &lines)
}

/// What the host says to headers that it must refuse.
fn bad_headers() -> Result<Response, ErrorCode> {
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
    let (_, none) = bindings::wit_future::new(|| Ok(None));
    let reply = Response::new(fields, None, none).0;
    say("immutable append", reply.get_headers().append("x-z", b"a"));
    say("immutable delete", reply.get_headers().delete("x-plain"));
    text(200, &lines)
}
