#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod filesystem;
pub mod http;
mod preview1;
pub mod sockets;
mod stream;
pub mod websocket;

pub use stream::{Error, StreamError};
