#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod address;
mod backend;
mod connection;
mod ctx;
mod datagrams;
#[cfg(any(feature = "p2", feature = "p3"))]
mod host;
mod incoming;
mod lookup;
mod loopback;
#[cfg(feature = "std")]
pub mod os;
mod policy;
mod settings;
#[cfg(feature = "smoltcp")]
pub mod smoltcp;
mod tcp;
#[cfg(feature = "testkit")]
pub mod testkit;
mod udp;

pub use backend::{
    DATAGRAM_MAX, Denied, IpAddressFamily, Lookup, Network, Shutdown, Socket, SocketOption,
    TcpListener, TcpSocket, TcpStream, UdpSocket,
};
pub use connection::{TcpInputStream, TcpOutputStream};
pub use ctx::{DynNetwork, WasiSocketsCtx};
pub use datagrams::{
    IncomingDatagram, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
#[cfg(feature = "p2")]
pub use host::p2;
#[cfg(feature = "p3")]
pub use host::p3;
pub use incoming::{Accepted, IncomingConnections};
pub use lookup::ResolveAddressStream;
pub use loopback::LoopbackNet;
pub use policy::{
    Action, HttpGrant, NetworkPolicy, PolicedNetwork, Reason, Refusal, Rule, RuleError,
};
pub use tcp::DynTcpSocket;
pub use udp::DynUdpSocket;
pub use wasi_error::sockets::ErrorCode;
