//! Tries every major API of WASI 0.2 and WebSockets, checks what it gets, and prints a table. The README says
//! what is in it.
//!
//! WASI is called directly: Rust's standard library asks for more than a host may have, and
//! does not tell what was denied from what is missing.
#![cfg(target_arch = "wasm32")]

mod clocks;
mod files;
mod http;
mod names;
mod outcome;
mod process;
mod random;
mod streams;
mod table;
mod tcp;
mod told;
mod udp;
mod wait;
mod websocket;
mod websocket_server;

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
            "../wit/websocket",
            "wit",
        ],
        world: "agave:wasi-demo/demo",
        generate_all,
    });
    export!(Demo);

    use super::Demo;
}

struct Demo;

impl bindings::exports::wasi::cli::run::Guest for Demo {
    /// Fails where a row did.
    fn run() -> Result<(), ()> {
        table::print()
    }
}
