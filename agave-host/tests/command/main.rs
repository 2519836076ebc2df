//! The `agave` command as its users have it: the real binary, over real sockets on loopback.
#![cfg(target_os = "linux")]

mod agent;
mod bodies;
mod command_line;
mod failures;
mod inspect;
mod isolation;
mod leaving;
mod limits;
mod outgoing;
mod run;
mod run_files;
mod run_network;
mod run_streams;
mod signals;
mod support;
