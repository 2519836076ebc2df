//! An HTTP agent that dials TCP on behalf of its clients.
//!
//! A `wasi:http/proxy@0.2` component on `wasi:sockets@0.2`, which serves WebSockets as
//! well (`agave:websocket/handler`). What a request means ([`routes`], [`query`],
//! [`accept`], [`lines`], [`peer`], [`refusal`]) and the page that it may get
//! ([`console`]) are plain Rust, tested natively; what moves bytes exists only in the
//! component.

pub mod accept;
pub mod console;
pub mod lines;
pub mod peer;
pub mod query;
pub mod refusal;
pub mod routes;

#[cfg(target_arch = "wasm32")]
mod agent;
#[cfg(target_arch = "wasm32")]
mod deadline;
#[cfg(target_arch = "wasm32")]
mod dial;
#[cfg(target_arch = "wasm32")]
mod exchange;
#[cfg(target_arch = "wasm32")]
mod relay;
#[cfg(target_arch = "wasm32")]
mod response;
#[cfg(target_arch = "wasm32")]
mod socket;

#[cfg(target_arch = "wasm32")]
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
        world: "agave:ai-agent-sockets/agent",
        generate_all,
    });
    export!(Agent);

    use crate::agent::Agent;
}
