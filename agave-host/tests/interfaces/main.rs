//! A guest that calls every function of WASI 0.2 and provokes every error it can, over both
//! sets of backends: this machine's, and those in memory.

mod codes;
mod escape;
mod functions;
mod machine;
mod memory;
mod names;
mod outcome;
mod parts;
mod server;
#[allow(dead_code, reason = "the tests of the command use all of it")]
#[path = "../command/support/mod.rs"]
mod support;
mod terminal;
mod traps;

/// Those of WASI 0.2.
const GUESTS: support::server::Guests = support::server::Guests {
    agent: None,
    testbed: "testbed",
};

/// The guest that calls every function.
const INTERFACES: &str = "interfaces";
