//! HTTP/1.1 (RFC 9112) over the traits of [`wasi_sockets`], on `core` and `alloc`: a client
//! and a server for a system that has TCP and no `std`.
//!
//! [`Http1Client`] sends what guests ask for; [`Http1Server`] gives a handler the requests of a
//! listener's connections, or of one. Both take the messages of this crate as they are, run
//! their tasks on what implements [`Spawn`], and wait by the clocks that they are given. There
//! is no TLS, no upgrade and no tunnel.

mod client;
mod conn;
mod connect;
mod decode;
mod encode;
mod error;
mod exchange;
mod head;
mod incoming;
mod listen;
mod pool;
mod server;
mod stop;
mod time;
mod wait;

pub use client::{Http1Client, Http1ClientBuilder};
pub use server::Http1Server;
pub use stop::Stop;

use crate::BoxFuture;

/// What runs tasks: an executor.
pub trait Spawn: Send + Sync + 'static {
    /// Runs `task` to its end, or drops it when the executor ends.
    fn spawn(&self, task: BoxFuture<()>);
}

impl<F: Fn(BoxFuture<()>) + Send + Sync + 'static> Spawn for F {
    fn spawn(&self, task: BoxFuture<()>) {
        self(task);
    }
}
