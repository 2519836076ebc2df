//! An HTTP agent that dials TCP on behalf of its clients.
//!
//! A `wasi:http/proxy@0.2` component on `wasi:sockets@0.2`, which serves WebSockets as
//! well (`agave:websocket/handler`). What it does is in the crate `ai-agent`; here is what
//! moves bytes.

#![cfg(target_arch = "wasm32")]

mod agent;
mod deadline;
mod exchange;
mod network;
mod response;
mod socket;

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

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Runs what blocks instead of waiting: WASI 0.2 has no other way.
fn run<T>(blocks: impl Future<Output = T>) -> T {
    match pin!(blocks).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the network of 0.2 blocks"),
    }
}
