//! Answers every request with `hello world`.

#![cfg(target_arch = "wasm32")]

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/io",
            "../wit/clocks",
            "../wit/random",
            "../wit/filesystem",
            "../wit/sockets",
            "../wit/cli",
            "../wit/http",
        ],
        world: "wasi:http/proxy@0.2.12",
        generate_all,
    });
    export!(Hello);

    use super::Hello;
}

struct Hello;

impl Guest for Hello {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("the first body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the first stream");
        // Both fail only where the client has gone.
        let _ = stream.blocking_write_and_flush(b"hello world\n");
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
