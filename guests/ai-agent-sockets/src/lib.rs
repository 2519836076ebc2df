//! An HTTP agent that dials TCP on behalf of its clients.
//!
//! A `wasi:http/proxy@0.2` component on `wasi:sockets@0.2`. What a request means
//! ([`routes`], [`query`], [`refusal`]) is plain Rust, tested natively; what moves bytes
//! exists only in the component.

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
mod response;

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
            "wit",
        ],
        world: "agave:ai-agent-sockets/agent",
        generate_all,
    });
    export!(Agent);

    use crate::agent::Agent;
}
