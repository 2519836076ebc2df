//! An HTTP agent that dials TCP on behalf of its clients, on WASI 0.3.
//!
//! A `wasi:http/service@0.3` component on `wasi:sockets@0.3`. What it does is in the crate
//! `ai-agent`; here is what moves bytes.

#![cfg(target_arch = "wasm32")]

mod agent;
mod deadline;
mod exchange;
mod network;
mod response;

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
        world: "agave:ai-agent-sockets-p3/agent",
        generate_all,
    });
    export!(Agent);

    use crate::agent::Agent;
}
