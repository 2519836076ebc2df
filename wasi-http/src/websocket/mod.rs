//! WebSockets for guests (RFC 6455): `agave:websocket@0.1.0`, whose WIT is in the folder
//! `websocket/wit` of this crate.
//!
//! A [`Connector`] makes connections for guests, a [`Responder`] accepts one for a server;
//! both give a [`Socket`], which moves messages. What is above them is written once: limits,
//! backpressure, messages that are streamed, text that must be UTF-8, how a connection ends.
//!
//! ```
//! use wasi_http::websocket::{Connection, Limits, Message, memory};
//!
//! let limits = Limits::default();
//! let (here, there) = memory::pair(limits.queue);
//! let mut here = Connection::new(Box::new(here), None, limits);
//! let mut there = Connection::new(Box::new(there), None, limits);
//! here.send(Message::Text("hello".into())).unwrap();
//! assert_eq!(there.receive(), Ok(Some(Message::Text("hello".into()))));
//! assert_eq!(there.receive(), Ok(None));
//! ```

mod backend;
mod connection;
mod ctx;
mod future;
pub mod memory;
mod message;
mod outgoing;
mod stream;
mod upgrade;
mod utf8;

#[cfg(feature = "p2")]
pub use crate::host::websocket as p2;
pub use backend::{Connector, Established, Handshake, MessageType, Piece, Responder, Socket};
pub use connection::{Connection, Readable, Writable};
pub use ctx::{ConnectionCount, Denied, Limits, Options, WasiWebSocketCtx};
pub use future::FutureConnection;
pub use message::Message;
pub use outgoing::OutgoingMessage;
pub use upgrade::UpgradeRequest;
pub use wasi_error::websocket::{CloseStatus, ErrorCode};
