//! WASI 0.3: guests for it, run by the library and by the `agave` command over real sockets.
#![cfg(target_os = "linux")]

mod composition;
mod concurrent;
mod failing;
mod instances;
mod interfaces;
mod leaving;
mod library;
mod outgoing;
mod streams;

// What 0.2 is tested with, over guests for 0.3.
#[path = "../command/agent.rs"]
mod agent;
#[path = "../command/bodies.rs"]
mod bodies;
#[allow(dead_code, reason = "the tests of 0.2 use all of it")]
#[path = "../interfaces/machine.rs"]
mod machine;
#[allow(dead_code, reason = "the tests of 0.2 use all of it")]
#[path = "../interfaces/memory.rs"]
mod memory;
#[path = "../interfaces/names.rs"]
mod names;
#[allow(dead_code, reason = "the tests of 0.2 use all of it")]
#[path = "../interfaces/outcome.rs"]
mod outcome;
#[path = "../interfaces/server.rs"]
mod server;
#[allow(dead_code, reason = "the tests of the command use all of it")]
#[path = "../command/support/mod.rs"]
mod support;
#[path = "../interfaces/terminal.rs"]
mod terminal;

const GUESTS: support::server::Guests = support::server::Guests {
    agent: Some("ai_agent_sockets_p3"),
    testbed: "testbed_p3",
};

/// The guest that calls every function.
const INTERFACES: &str = "interfaces_p3";
