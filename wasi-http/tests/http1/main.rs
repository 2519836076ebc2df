//! HTTP/1.1 without an operating system: over a network in memory, under an executor that
//! stops when nothing moves, and a clock that is moved by hand.

mod client;
#[cfg(feature = "std")]
mod interop;
mod pool;
mod round_trip;
mod server;
mod server_life;
mod support;
