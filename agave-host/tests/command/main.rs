//! The `agave` command as its users have it: the real binary, over real sockets on loopback.
#![cfg(target_os = "linux")]

mod adapter;
mod agent;
mod agent_ws;
mod bodies;
mod command_line;
mod compile;
mod demo;
mod echo;
mod failures;
mod inspect;
mod isolation;
mod kv;
mod leaving;
mod limits;
mod modules;
mod modules_streams;
mod outgoing;
mod run;
mod run_files;
mod run_network;
mod run_streams;
mod signals;
mod support;
mod websocket;

/// Those of WASI 0.2.
const GUESTS: support::server::Guests = support::server::Guests {
    agent: None,
    testbed: "testbed",
};
